"""Video files and a network camera, made by the same library that users record with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actd.sim.mjpeg import MjpegServer
from tests import videos

WriteVideo = Callable[..., str]


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """`write_video(images, fps=200)` -> path of a Motion-JPEG file."""

    def write(images: Sequence[NDArray[np.uint8]], fps: float = 200.0) -> str:
        return str(videos.write_video(tmp_path / "clip.avi", images, fps))

    return write


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    """A network camera on loopback."""
    with MjpegServer() as running:
        yield running
