"""Video files and a network camera, made by the same library that users record with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from actd.sim.mjpeg import MjpegServer

WriteVideo = Callable[..., str]


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """`write_video(images, fps=200)` -> path of a Motion-JPEG file."""

    def write(images: Sequence[NDArray[np.uint8]], fps: float = 200.0) -> str:
        path = tmp_path / "clip.avi"
        height, width = images[0].shape[:2]
        code: Any = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path), code, fps, (width, height))
        for image in images:
            writer.write(image)
        writer.release()
        return str(path)

    return write


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    """A network camera on loopback."""
    with MjpegServer() as running:
        yield running
