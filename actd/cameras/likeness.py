"""How a camera's images compare with those of the training: brighter, greyer, of another colour.

Pure. Looks at one pixel in 169: about 100 us for an image of 640x480.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_EVERY = 13  # as in `grey`
# A frame of a scene that was trained on is seldom further from the mean of all frames than a fifth
# of their pixels' standard deviation; with half of the light it is one away.
BRIGHTNESS_MAX = 0.75
# A standard deviation of one image is part of that of all; a covered lens has a tenth of it.
CONTRAST_FACTOR_MAX = 2.0
_CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class ImageMoments:
    """Mean and standard deviation of red, green and blue, of values from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, statistics: Mapping[str, tuple[float, ...]]) -> ImageMoments | None:
        """Those that are among a feature's statistics, None where they are not."""
        if "mean" not in statistics or not all(std > 0 for std in statistics.get("std", (0,))):
            return None
        return cls(statistics["mean"], statistics["std"])


class Likeness(NamedTuple):
    """One image beside the training's.

    `brightness`: how far the mean is from the training's, in its standard deviations, of the
    channel where that is furthest; negative where it is darker. `contrast`: the standard deviation
    by the training's. `why` says what is unlike, "" where nothing is.
    """

    brightness: float
    contrast: float
    why: str


def likeness(image: NDArray[np.uint8], trained: ImageMoments) -> Likeness:
    """Compare an (H, W, 3) image."""
    pixels = image[::_EVERY, ::_EVERY].reshape(-1, 3) / 255.0
    mean, std = pixels.mean(axis=0), pixels.std(axis=0)
    offsets = (mean - trained.mean) / trained.std
    channel = int(np.abs(offsets).argmax())
    brightness = float(offsets[channel])
    contrast = float(std.mean() / np.mean(trained.std))
    words = []
    if abs(brightness) > BRIGHTNESS_MAX:
        same_sign = bool((np.sign(offsets) == np.sign(brightness)).all())
        now, then = mean[channel], trained.mean[channel]
        if same_sign and np.abs(offsets).min() > BRIGHTNESS_MAX / 2:
            now, then = float(mean.mean()), float(np.mean(trained.mean))
            words.append(
                f"{'brighter' if now > then else 'darker'}: {now:.0%} of white, {then:.0%}"
            )
        else:
            words.append(f"of another colour: {_CHANNELS[channel]} {now:.0%}, {then:.0%}")
    if not 1 / CONTRAST_FACTOR_MAX <= contrast <= CONTRAST_FACTOR_MAX:
        than = "less" if contrast < 1 else "more"
        words.append(f"of {than} contrast: {std.mean():.0%}, {np.mean(trained.std):.0%}")
    why = " and ".join(f"{each} in training" for each in words)
    return Likeness(round(brightness, 3), round(contrast, 3), why)
