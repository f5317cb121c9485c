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


def scene(seed: int) -> NDArray[np.uint8]:
    """A table full of things, RGB, larger than any image of it; other things for other seeds."""
    chance = np.random.default_rng(seed)
    table = np.full((700, 900, 3), chance.integers(80, 180, 3), np.uint8)
    for _ in range(70):
        at = chance.integers(0, (900, 700))
        corner = at + chance.integers(10, 110, 2)
        colour = [int(value) for value in chance.integers(0, 255, 3)]
        if chance.random() < 0.5:
            cv2.circle(table, at.tolist(), int(chance.integers(8, 50)), colour, -1)
        else:
            cv2.rectangle(table, at.tolist(), corner.tolist(), colour, -1)
    grain = chance.integers(-25, 25, (140, 180)).astype(np.float32)
    textured = table + cv2.resize(grain, (900, 700), interpolation=cv2.INTER_CUBIC)[..., None]
    blurred = cv2.GaussianBlur(textured, (0, 0), 1.0)
    return np.clip(blurred, 0, 255).astype(np.uint8)


def photo(  # noqa: PLR0917
    table: NDArray[np.uint8],
    right: float = 0,
    down: float = 0,
    degrees: float = 0,
    scale: float = 1,
    size: tuple[int, int] = (640, 480),
) -> NDArray[np.uint8]:
    """A noisy image of `scene`'s middle, with everything in it moved, then turned clockwise."""
    height, width = table.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, scale)
    matrix[:, 2] += (size[0] / 2 - width / 2 + right, size[1] / 2 - height / 2 + down)
    image = cv2.warpAffine(table, matrix, size, borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(round(abs(right * 7 + down * 5 + degrees))).normal(
        0, 6, image.shape
    )
    return np.clip(image + noise, 0, 255).astype(np.uint8)
