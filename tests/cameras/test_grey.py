from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from actd.cameras.grey import is_grey

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (120, 160, 3), np.uint8)
GREY = np.repeat(COLOUR[..., :1], 3, axis=2)


def tinted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As a sensor of colour sees a grey wall: one of its channels is off by one somewhere."""
    image = image.copy()
    image[65, 65, 2] ^= 1
    return image


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (COLOUR, False),
        (GREY, True),
        (tinted(GREY), False),
        (np.zeros_like(GREY), False),
        (GREY // 32, False),
        (np.full_like(GREY, 255), False),
        (GREY[:9, :9], False),
    ],
    ids=["colour", "grey", "tinted", "black", "dark", "white", "tiny"],
)
def test_an_image_whose_channels_are_equal_is_grey(image: NDArray[np.uint8], grey: bool) -> None:
    assert is_grey(image) is grey
