"""Images beside those of the training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actd.cameras.likeness import BRIGHTNESS_MAX, ImageMoments, likeness

LEVEL = st.floats(0, 1)


def image(mean: float, std: float, seed: int = 0) -> NDArray[np.float64]:
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal((480, 640, 3))
    return mean + std * noise


def pixels(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(values * 255, 0, 255), np.uint8)


TRAINED = ImageMoments((0.45, 0.44, 0.42), (0.2, 0.2, 0.2))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (image(0.44, 0.19), ""),
        (image(0.50, 0.15), ""),  # other light than in some demonstrations
        (image(0.22, 0.10), "darker: 22% of white, 44% in training"),
        (image(0.70, 0.15), "brighter: 70% of white, 44% in training"),
        (image(0.44, 0.02), "of less contrast: 2% , 20% in training"),
        (image(0.44, 0.15) + np.array([0.25, 0.0, -0.1]), "of another colour: red"),
        (image(0.02, 0.01), "darker"),
    ],
)
def test_what_is_unlike_is_said(values: NDArray[np.float64], words: str) -> None:
    found = likeness(pixels(values), TRAINED).why
    assert words.replace("2% ,", "2%,") in found
    assert bool(found) == bool(words)


def test_channels_that_are_exchanged_are_seen() -> None:
    trained = ImageMoments((0.6, 0.45, 0.3), (0.2, 0.2, 0.2))
    values = image(0, 0.2) + trained.mean
    assert likeness(pixels(values), trained).why == ""
    assert "of another colour" in likeness(pixels(values[..., ::-1]), trained).why


@given(LEVEL, LEVEL, st.floats(0.01, 0.5), st.integers(1, 40), st.integers(1, 40))
def test_a_plain_image_is_as_far_as_it_is(
    level: float, mean: float, std: float, height: int, width: int
) -> None:
    plain = np.full((height, width, 3), round(level * 255), np.uint8)
    found = likeness(plain, ImageMoments((mean,) * 3, (std,) * 3))
    offset = (round(level * 255) / 255 - mean) / std
    assert found.brightness == pytest.approx(offset, abs=1e-3)
    assert found.contrast == pytest.approx(0, abs=1e-9)
    assert ("brighter" in found.why or "darker" in found.why) == (abs(offset) > BRIGHTNESS_MAX)
    assert "of less contrast" in found.why


def test_without_statistics_nothing_is_known() -> None:
    assert ImageMoments.of({}) is None
    assert ImageMoments.of({"mean": (0.5,) * 3, "std": (0.0, 0.1, 0.1)}) is None
    assert ImageMoments.of({"mean": (0.5,) * 3, "std": (0.1,) * 3}) is not None
