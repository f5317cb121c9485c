"""Video files, made by the library that users record with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def write_video(path: Path, images: Iterable[NDArray[np.uint8]], fps: float = 30.0) -> Path:
    """Write images of one size, (height, width, 3) BGR, as Motion-JPEG; returns `path`."""
    images = list(images)
    height, width = images[0].shape[:2]
    code: Any = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), code, fps, (width, height))
    for image in images:
        writer.write(image)
    writer.release()
    return path
