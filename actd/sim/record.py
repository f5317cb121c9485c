"""Recording of the robot's cameras, held as JPEG and written at the end of the run.

Owns the newest minute of images of every camera. Writes an MP4 with the cameras side by
side, and a contact sheet: moments spread over the run, labelled with camera and time. Both
need cv2 and the MP4 needs PyAV; a missing one raises ActdError with the install command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.errors import ActdError

Image = NDArray[np.uint8]

KEEP_S = 60
SHEET_MOMENTS = 8
SHEET_COLUMNS = 4
FRAME_PX, FRAME_GREY = 2, 160


class Shot(NamedTuple):
    """One camera's image: seconds since the recording began, and the JPEG."""

    t_s: float
    jpeg: bytes


class CameraRecording:
    """The newest `keep_s` seconds of each of `cameras`, at `fps` images a second."""

    def __init__(self, cameras: Sequence[str], fps: int, keep_s: float = KEEP_S) -> None:
        self._fps = fps
        self._begin_s = 0.0
        self._shots: dict[str, deque[Shot]] = {
            name: deque(maxlen=max(1, round(fps * keep_s))) for name in cameras
        }

    def add(self, camera: str, t_s: float, jpeg: bytes) -> None:
        """Keep one image, taken `t_s` seconds into the run."""
        self._shots[camera].append(Shot(t_s - self._begin_s, jpeg))

    def begin_at(self, t_s: float) -> None:
        """Drop all images and count time from here, the start of the motion."""
        self._begin_s = t_s
        for shots in self._shots.values():
            shots.clear()

    def moments(self) -> list[tuple[Shot, ...]]:
        """One shot of every camera per moment, oldest first."""
        length = min(len(shots) for shots in self._shots.values())
        newest = [list(shots)[len(shots) - length :] for shots in self._shots.values()]
        return list(zip(*newest, strict=True))

    def write_video(self, path: Path) -> None:
        """Write an MP4 (H.264, or MPEG-4 without an encoder for that), cameras side by side.

        Raises ActdError when nothing was recorded or it cannot be written.
        """
        try:
            import av
        except ImportError:
            raise ActdError(f"{path}: a video needs PyAV; pip install 'actd[demo]'") from None
        moments = self._some_moments(path)
        height, width = _row(moments[0]).shape[:2]
        try:
            with av.open(str(path), "w") as container:
                stream = container.add_stream(_codec(av), rate=Fraction(self._fps))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.bit_rate = 1_500_000
                for moment in moments:
                    frame = av.VideoFrame.from_ndarray(_row(moment), format="bgr24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
        except (OSError, av.FFmpegError) as error:
            raise ActdError(f"{path}: cannot write the video: {error}") from None

    def write_sheet(self, path: Path) -> None:
        """Write a PNG of moments spread evenly over the recording, each camera above the next.

        Raises ActdError when nothing was recorded or it cannot be written.
        """
        import cv2

        moments = self._some_moments(path)
        count = min(SHEET_MOMENTS, len(moments))
        sheet_moments = [moments[round(i)] for i in np.linspace(0, len(moments) - 1, count)]
        columns = [
            np.vstack([_labelled(name, shot) for name, shot in zip(self._shots, m, strict=True)])
            for m in sheet_moments
        ]
        columns += [np.zeros_like(columns[0])] * (-len(columns) % SHEET_COLUMNS)
        rows = [
            np.hstack(columns[start : start + SHEET_COLUMNS])
            for start in range(0, len(columns), SHEET_COLUMNS)
        ]
        if not cv2.imwrite(str(path), np.vstack(rows)):
            raise ActdError(f"{path}: cannot write the contact sheet: is the folder writable?")

    def _some_moments(self, path: Path) -> list[tuple[Shot, ...]]:
        moments = self.moments()
        if not moments:
            raise ActdError(f"{path}: not written: the cameras delivered no image")
        return moments


def _codec(av: object) -> str:
    return "libx264" if "libx264" in getattr(av, "codecs_available", ()) else "mpeg4"


def _row(moment: Sequence[Shot]) -> Image:
    return np.hstack([_decoded(shot) for shot in moment])


def _decoded(shot: Shot) -> Image:
    import cv2

    decoded: Any = cv2.imdecode(np.frombuffer(shot.jpeg, np.uint8), cv2.IMREAD_COLOR)
    image: Image = decoded
    return image


def _labelled(name: str, shot: Shot) -> Image:
    import cv2

    image = _decoded(shot)
    image[-FRAME_PX:], image[:, -FRAME_PX:] = FRAME_GREY, FRAME_GREY
    white, font = (255, 255, 255), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, f"{name}  {shot.t_s:.1f} s", (8, 18), font, 0.45, white, 1, cv2.LINE_AA)
    return image
