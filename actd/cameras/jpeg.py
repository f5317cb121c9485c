"""JPEG images as a camera sends them: which arrived whole, and what they show.

A decoder fills what is missing with grey or with the image before, and calls that a success. So
the bytes are looked at first. No I/O.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_END = b"\xff\xd9"
# What cameras and servers put behind an image; none goes on for longer than this.
_PADDING = b"\0\xff\r\n"
_LONGEST_PADDING = 65536

_HOW = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


class JpegReader:
    """Reads the images of one camera. Some never mark an image's end; theirs are all taken."""

    def __init__(self) -> None:
        self._marks_ends = False

    def read(self, data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """(H, W, 3) blue-green-red of the bytes of a file; None for an image that is damaged."""
        whole = data.ravel()[-_LONGEST_PADDING:].tobytes().rstrip(_PADDING).endswith(_END)
        self._marks_ends = self._marks_ends or whole
        if data.size == 0 or (self._marks_ends and not whole):
            return None
        if not whole:  # a decoder may insist on the mark
            data = np.append(data.ravel(), np.frombuffer(_END, np.uint8))
        bgr: Any = cv2.imdecode(data, _HOW)
        image: NDArray[np.uint8] | None = bgr
        return image
