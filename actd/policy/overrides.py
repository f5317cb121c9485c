"""What a user says of a checkpoint because its files do not.

LeRobot's folders describe themselves; the original ACT stores neither its cameras
nor its attention heads. Owns reading the options' texts; UsageError names the option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actd.errors import UsageError

FORMATS = ("auto", "lerobot", "original")
COLORS = ("rgb", "bgr")

# Options that serve one format and are a mistake with another.
ORIGINAL_OPTIONS = ("--cameras", "--image-size", "--heads", "--color")
STATISTICS_OPTION = "--statistics"


@dataclass(frozen=True, slots=True)
class Overrides:
    """Answers that a checkpoint may need; every default means "not said".

    `image_size` is (height, width) of all cameras. `color` is the channel order of the
    images that the policy was trained on. `fps` is the rate of the training data.
    `statistics`: of which dataset, where a checkpoint holds those of several.
    """

    format: str = "auto"
    cameras: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    heads: int | None = None
    color: str | None = None
    fps: float | None = None
    statistics: str | None = None

    def given(self) -> dict[str, Any]:
        """The answers that were given, as plain JSON data."""
        return {
            key: value for key, value in asdict(self).items() if value != getattr(Overrides(), key)
        }

    @classmethod
    def again(cls, given: Mapping[str, Any]) -> Overrides:
        """What `given` gave, after a way through JSON."""
        arguments: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
        }
        return cls(**arguments)

    def options(self) -> tuple[str, ...]:
        """The command line's options that say the same."""
        size = "x".join(map(str, self.image_size)) if self.image_size else None
        given = {
            "--format": None if self.format == "auto" else self.format,
            "--cameras": ",".join(self.cameras),
            "--image-size": size,
            "--heads": self.heads,
            "--color": self.color,
            "--fps": None if self.fps is None else f"{self.fps:g}",
            "--statistics": self.statistics,
        }
        return tuple(
            word for option, value in given.items() if value for word in (option, str(value))
        )

    def particular(self) -> tuple[str, ...]:
        """Those of the options given that not every checkpoint takes."""
        some = (*ORIGINAL_OPTIONS, STATISTICS_OPTION)
        return tuple(option for option in self.options() if option in some)


def read_overrides(
    *,
    format: str = "auto",
    cameras: str | None = None,
    image_size: str | None = None,
    heads: int | None = None,
    color: str | None = None,
    fps: float | None = None,
    statistics: str | None = None,
) -> Overrides:
    """Hints from the texts of the command line. Raises UsageError."""
    _one_of("--format", format, FORMATS)
    if color is not None:
        _one_of("--color", color, COLORS)
    names = tuple(name.strip() for name in (cameras or "").split(",") if name.strip())
    if len(set(names)) != len(names):
        raise UsageError(f"--cameras: {cameras}: a name twice; give each camera once")
    if fps is not None and not 0 < fps < float("inf"):
        raise UsageError(f"--fps: {fps}; give the frames per second of the training data")
    return Overrides(format, names, _size(image_size), heads, color, fps, statistics)


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option}: {value!r}; use one of {', '.join(allowed)}")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})", text.strip())
    if match is None:
        raise UsageError(f"--image-size: {text!r}; give HEIGHTxWIDTH, for example 480x640")
    return int(match[1]), int(match[2])
