"""Run by LeRobot's Python: its own program on a LeKiwi, on a computer that is busy with tests.

LeRobot's host ends at the first packet that a servo does not answer in time; here it asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lerobot_robot_actd_tests  # noqa: F401  registers the camera
from lerobot.motors.motors_bus import SerialMotorsBus
from lerobot.robots.lekiwi.lekiwi_host import main

_TRIES = 30


def patient(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same, that asks again."""

    def ask(*args: Any, **options: Any) -> Any:
        return method(*args, **{**options, "num_retry": _TRIES})

    return ask


if __name__ == "__main__":
    for name in ("ping", "_read", "_write", "_sync_read"):
        setattr(SerialMotorsBus, name, patient(getattr(SerialMotorsBus, name)))
    main()
