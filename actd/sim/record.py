"""Recording of the run's pictures, held as JPEG and written at the end.

Owns the newest minute of pictures. Writes an MP4, and a contact sheet: moments spread over the
recording. Both need cv2 and the MP4 needs PyAV; a missing one raises ActdError with the install
command.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.errors import ActdError

Image = NDArray[np.uint8]

KEEP_S = 60
SHEET_MOMENTS = 8
SHEET_COLUMNS = 4
JPEG_QUALITY = 90


class Recording:
    """The newest `keep_s` seconds of pictures, at `fps` of them a second."""

    def __init__(self, fps: int, keep_s: float = KEEP_S) -> None:
        self._fps = fps
        self._jpegs: deque[bytes] = deque(maxlen=max(1, round(fps * keep_s)))

    def add(self, picture: Image) -> None:
        """Keep one picture, RGB."""
        self._jpegs.append(jpeg(picture, JPEG_QUALITY))

    def write_video(self, path: Path) -> None:
        """Write an MP4 (H.264, or MPEG-4 without an encoder for that).

        Raises ActdError when nothing was recorded or it cannot be written.
        """
        try:
            import av
        except ImportError:
            raise ActdError(f"{path}: a video needs PyAV; pip install 'actd[demo]'") from None
        height, width = self._picture(0, path).shape[:2]
        try:
            with av.open(str(path), "w") as container:
                stream = container.add_stream(_codec(av), rate=Fraction(self._fps))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.bit_rate = 1_500_000
                for number in range(len(self._jpegs)):
                    picture = self._picture(number, path)
                    frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
        except (OSError, av.FFmpegError) as error:
            raise ActdError(f"{path}: cannot write the video: {error}") from None

    def write_sheet(self, path: Path) -> None:
        """Write a PNG of pictures spread evenly over the recording, at half size, in rows.

        Raises ActdError when nothing was recorded or it cannot be written.
        """
        import cv2

        self._picture(0, path)
        count = min(SHEET_MOMENTS, len(self._jpegs))
        numbers = np.linspace(0, len(self._jpegs) - 1, count).round().astype(int).tolist()
        pictures = [_halved(self._picture(number, path)) for number in numbers]
        pictures += [np.zeros_like(pictures[0])] * (-count % SHEET_COLUMNS)
        rows = [
            np.hstack(pictures[start : start + SHEET_COLUMNS])
            for start in range(0, len(pictures), SHEET_COLUMNS)
        ]
        if not cv2.imwrite(str(path), np.vstack(rows)):
            raise ActdError(f"{path}: cannot write the contact sheet: is the folder writable?")

    def _picture(self, number: int, path: Path) -> Image:
        """BGR, as OpenCV and the encoder take it."""
        import cv2

        if not self._jpegs:
            raise ActdError(f"{path}: not written: there is no picture yet")
        decoded: Any = cv2.imdecode(np.frombuffer(self._jpegs[number], np.uint8), cv2.IMREAD_COLOR)
        picture: Image = decoded
        return picture


def _halved(picture: Image) -> Image:
    import cv2

    half: Any = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    image: Image = half
    return image


def jpeg(image: Image, quality: int) -> bytes:
    """An RGB image as JPEG."""
    import cv2

    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def _codec(av: object) -> str:
    return "libx264" if "libx264" in getattr(av, "codecs_available", ()) else "mpeg4"
