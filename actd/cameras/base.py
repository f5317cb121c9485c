"""Where frames come from: one `Camera` per configured source, all answering alike."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Frame(NamedTuple):
    """One image: uint8 RGB (H, W, 3), its capture time (CLOCK_MONOTONIC), its number from 1.

    `damaged` counts the images between the frame before and this one that came damaged.
    """

    data: NDArray[np.uint8]
    t_capture_ns: int
    seq: int
    damaged: int = 0


class Camera(Protocol):
    """A source of frames. Not thread-safe: one camera belongs to one process."""

    def open(self) -> None:
        """Connect and read one frame back to prove size and rate.

        Raises CameraError that names the camera, what was found and what to do.
        """
        ...

    def read(self) -> Frame:
        """The next frame, blocking until it comes.

        Raises CameraError when the source ended, broke, or delivered another size;
        the caller closes, waits and opens again.
        """
        ...

    def close(self) -> None:
        """Release the device. Safe to call twice."""
        ...
