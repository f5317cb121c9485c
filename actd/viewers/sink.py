"""What a viewer takes, and the names of a robot's data in it: LeRobot's where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from actd.mode import Mode

ACTION = "action/state"
STATE = "observation/state"
TICK = "actd/tick"
AGES = "actd/ages"
EVENTS = "actd/events"


def picture_topic(camera: str) -> str:
    """A camera's topic; a dot in its name would end it in a viewer's paths."""
    return f"observation/images/{camera.replace('.', '_')}"


class Sink(Protocol):
    """A viewer, or a file for one. Times are Unix time in ns; values are finite."""

    def numbers(self, topic: str, values: Mapping[str, float], t_ns: int) -> None:
        """Some numbers at one moment, by name."""

    def event(self, mode: Mode, text: str, t_ns: int) -> None:
        """Something that happened, and the mode after it."""

    def picture(self, camera: str, jpeg: bytes, t_ns: int) -> None:
        """A camera's image, captured at `t_ns`."""

    def close(self) -> None:
        """Write or send what is left."""
