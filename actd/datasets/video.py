"""One video file: written image by image, read at given moments. Needs PyAV.

Writes H.264 with a key frame every second image, so that any row is found quickly.
Raises OSError where the disk fails and RecordingError for everything else.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from actd.datasets.paths import Image, library
from actd.errors import RecordingError
from actd.files import check_file

# It costs a third of the CPU time of the AV1 that LeRobot writes (docs/datasets.md), whose encoder
# SVT-AV1 also raises its threads to SCHED_FIFO 99, above the tick, where it may.
_CODEC = "libx264"
_OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "18", "g": "2"}
_SEEK_S = 0.5
_LONGEST_S = 1e6


class VideoFile:
    """Writes one video of equally spaced images. `close` it, or what was written is lost."""

    def __init__(self, path: Path, fps: int, height: int, width: int) -> None:
        self._av = library("av")
        self._av.logging.set_level(self._av.logging.ERROR)
        if _CODEC not in self._av.codecs_available:
            raise RecordingError(
                f"{path}: this PyAV does not encode H.264; pip install 'actd[record]'"
            )
        self._path = path
        with self._os_errors():
            self._container = self._av.open(str(path), "w")
        self._stream = self._container.add_stream(_CODEC, rate=fps, options=_OPTIONS)
        self._stream.width, self._stream.height = width, height
        # Colour is kept at half the size, which needs even sides.
        self._stream.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
        self._stream.thread_count = 1
        self.info = {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": self._stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        }

    def add(self, image: Image) -> None:
        """Append one image."""
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        with self._os_errors():
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        with self._os_errors(), contextlib.closing(self._container):
            self._container.mux(self._stream.encode())

    def abandon(self) -> None:
        """Let go of a file that nobody wants."""
        with contextlib.suppress(OSError, self._av.FFmpegError):
            self._container.close()

    @contextlib.contextmanager
    def _os_errors(self) -> Iterator[None]:
        """What FFmpeg reports of the disk is an OSError like any other."""
        try:
            yield
        except self._av.FFmpegError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None


class _End(NamedTuple):
    """Stands after a video's last frame."""

    time: float = math.inf


class VideoTrack:
    """Reads the images of one episode, which begins `from_s` into the file."""

    def __init__(self, path: Path, fps: float, from_s: float) -> None:
        av = library("av")
        try:
            check_file(path)
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except FileNotFoundError:
            raise RecordingError(
                f"{path}: no such file, the dataset is not complete; fetch it again"
            ) from None
        except (OSError, IndexError, av.FFmpegError) as error:
            raise RecordingError(
                f"{path}: not a readable video ({error}); fetch it again"
            ) from None
        self._errors = av.FFmpegError
        self._path = path
        self._from_s = from_s
        self._half_frame_s = 0.5 / fps
        self._frames: Iterator[Any] = iter(())
        self._frame: Any = None
        self._end = _End()

    def at(self, t_s: float) -> Image:
        """The image `t_s` seconds into the episode. Raises RecordingError if there is none."""
        wanted_s = self._from_s + t_s
        if not abs(wanted_s) < _LONGEST_S:
            raise RecordingError(
                f"{self._path}: a row of the dataset is at {wanted_s:g} s; fetch it again"
            )
        first_s, last_s = wanted_s - self._half_frame_s, wanted_s + self._half_frame_s
        try:
            if self._frame is None or not first_s - _SEEK_S < self._frame.time < last_s:
                self._seek(last_s)
            while self._frame is None or self._frame.time < first_s:
                self._frame = next(self._frames, self._end)
            if self._frame.time > last_s:
                raise RecordingError(
                    f"{self._path}: has no image at {wanted_s:.3f} s, where a row of the "
                    "dataset expects one; fetch it again"
                )
            image: Image = self._frame.to_ndarray(format="rgb24")
        except self._errors as error:
            raise RecordingError(f"{self._path}: damaged ({error}); fetch it again") from None
        return image

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _seek(self, t_s: float) -> None:
        offset = int(t_s / self._stream.time_base)
        self._container.seek(offset, stream=self._stream, backward=True)
        self._frames, self._frame = self._container.decode(self._stream), None
