"""Images that say which they are: a frame number in black and white blocks along the top."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 120
_BITS = 8


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A grey image with `number` (below 256) burnt into its upper quarter."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(_BITS):
        value = 255 if number >> bit & 1 else 0
        image[: height // 4, bit * width // _BITS : (bit + 1) * width // _BITS] = value
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The number that `numbered` burnt in, whatever the image's size and the codec's losses."""
    height, width = image.shape[:2]
    row = image[height // 8]
    middles = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[x].mean() > 128)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """The image (blue-green-red) as a JPEG file."""
    done, data = cv2.imencode(".jpg", image)
    if not done:
        raise ValueError("OpenCV could not encode the image")
    return data.tobytes()


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> NDArray[np.uint8]:
    """An image of two plain halves, in blue-green-red."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:, : WIDTH // 2] = left
    image[:, WIDTH // 2 :] = right
    return image
