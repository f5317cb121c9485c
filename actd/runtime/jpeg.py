"""Pictures as JPEG, as the page shows them and the picture recorder writes them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_QUALITY = 80


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB image (H, W, 3) as JPEG."""
    image = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return jpeg.tobytes()
