"""Rows of a dataset out of the rings: what the tick at a moment saw and what it sent.

Every stream is looked up by time, so a reader that comes late still gets the values of the
moment; only images, of which few are kept, are then older ones again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.datasets.paths import ACTION, ENVIRONMENT, INTERVENTION, STATE, Image
from actd.errors import RecordingError
from actd.mode import Mode
from actd.runtime.channels import Channels
from actd.runtime.shm import Record, Ring


class Row(NamedTuple):
    """One row by feature key, and how many cameras had nothing newer than the row before."""

    vectors: Mapping[str, NDArray[Any]]
    images: Mapping[str, Image]
    repeated: int


class Sampler:
    """Makes the rows of one recording, in order of time.

    `cameras`: name -> feature key. `tick_period_ns`: ticks and rows are due on clocks that
    may be a few nanoseconds apart, so a tick counts from half a period before it is due.
    """

    def __init__(self, channels: Channels, cameras: Mapping[str, str], tick_period_ns: int) -> None:
        self._channels = channels
        self._slack_ns = tick_period_ns // 2
        self._cameras = [_Camera(key, channels.frames[name]) for name, key in cameras.items()]
        self._state: Record | None = None

    def tick(self, t_ns: int) -> Record | None:
        """The tick whose command was in force at `t_ns`; None if it is no longer known."""
        return newest_at(self._channels.ticks, "due_ns", t_ns + self._slack_ns)

    def has_ticked(self, t_ns: int) -> bool:
        """Whether the tick that `tick` gives for this moment has run."""
        return (self._channels.ticks.peek("due_ns") or 0) + self._slack_ns > t_ns

    def row(self, tick: Record, *, new_images: bool = True) -> Row:
        """What this tick saw and sent. Without `new_images` the last ones come again."""
        saw_ns = int(tick["wake_ns"])
        self._state = newest_at(self._channels.states, "t_ns", saw_ns) or self._state
        if self._state is None:
            raise RecordingError("robot state: none is known for the first row; record again")
        repeated = 0
        for camera in self._cameras:
            repeated += not (new_images and camera.look(saw_ns))
        return Row(
            vectors={
                STATE: self._state["state"],
                ENVIRONMENT: self._state["env"],
                ACTION: tick["action"],
                INTERVENTION: np.array([tick["mode"] == Mode.TAKEOVER]),
            },
            images={camera.key: camera.image for camera in self._cameras},
            repeated=repeated,
        )


class _Camera:
    """The newest image of one camera up to the moment last asked for."""

    def __init__(self, key: str, ring: Ring) -> None:
        self.key = key
        self._ring = ring
        self._number = 0
        self._image: Image | None = None

    @property
    def image(self) -> Image:
        """The image. Raises RecordingError before there is one."""
        if self._image is None:
            raise RecordingError(f"{self.key}: no frame for the first row; record again")
        return self._image

    def look(self, t_ns: int) -> bool:
        """Take the newest frame captured by `t_ns`; False when that is the one at hand."""
        numbers, times_ns = self._ring.history("t_capture_ns")
        place = int(np.searchsorted(times_ns, t_ns, side="right")) - 1
        if self._image is None:
            place = max(0, place)
        if place < 0 or place >= len(numbers) or numbers[place] <= self._number:
            return False
        record = self._ring.read(int(numbers[place]))
        if record is None:
            return False
        self._number, self._image = int(numbers[place]), record["pixels"]
        return True


def newest_at(ring: Ring, field: str, t_ns: int) -> Record | None:
    """The newest readable record whose time `field` is not after `t_ns`, if there is one."""
    numbers, times_ns = ring.history(field)
    place = int(np.searchsorted(times_ns, t_ns, side="right")) - 1
    return ring.read(int(numbers[place])) if place >= 0 else None
