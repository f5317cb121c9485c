"""In what a policy counts positions, guessed from how far they reach. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from actd.config import JointConfig
from actd.config.fit import MOST_RAD, largest_place
from actd.policy.spec import Range
from actd.scaffold.presets import Preset, Scale

T = TypeVar("T")

# LeRobot's -100 to 100 is cut off there exactly; degrees of an arm end anywhere.
_PERCENT = 100.0
_EXACT = 1e-3
_MOST_DEGREES = 400.0
# Feetech and Dynamixel servos count a turn in 4096; in percent a count is a joint's own.
_COUNT_DEGREES = 360 / 4096
_SAME_COUNT = 0.003
_PLAIN: dict[Scale, str] = {"rad": "rad", "degrees": "degrees", "percent": "-100 to 100"}


class Units(NamedTuple):
    """`scale` None: not known. `evidence`: why, in words. `certain`: whether nothing else fits."""

    scale: Scale | None
    evidence: str
    certain: bool

    def text(self, preset: Preset | None) -> str:
        """What `robot.units` says."""
        if self.scale is None:
            return "unknown"
        form = preset.forms.get(self.scale) if preset else None
        return form.units if form else _PLAIN[self.scale]


def guess_units(
    joints: Sequence[JointConfig],
    ranges: Range | None,
    preset: Preset | None,
    *,
    exact: bool,
    resolution: Sequence[float] = (),
) -> Units:
    """The scale of the joints of kind position.

    `ranges`: of the training data, None where not known; `exact`: rather than from mean and std.
    `resolution`: the steps in which positions were measured, 0 where not known.
    """
    usual: Scale = next(iter(preset.forms)) if preset else "rad"
    if ranges is None:
        return Units(usual, "the range of the training data is not known", certain=False)
    largest = largest_place(joints, ranges)
    said = f"positions reach {'' if exact else 'about '}{largest:.4g}"
    steps = list(filter(None, _of_positions(joints, resolution)))
    ends = [abs(end) for pair in _of_positions(joints, zip(*ranges, strict=True)) for end in pair]
    cut_off = any(abs(end - _PERCENT) <= _EXACT for end in ends)
    counts = [abs(step / _COUNT_DEGREES - 1) < _SAME_COUNT for step in steps]
    rules: tuple[tuple[bool, Scale | None, str], ...] = (
        (largest <= MOST_RAD, "rad", "within two turns"),
        (largest > _MOST_DEGREES, None, "motor counts, or thousandths of a degree?"),
        (exact and largest > _PERCENT + _EXACT, "degrees", "too far for anything else"),
        (exact and cut_off, "percent", "and are cut off there"),
        (len(counts) > 1 and all(counts), "degrees", "in a servo's steps of 360/4096 degrees"),
        (len(counts) > 1 and not any(counts), "percent", "in steps that no servo makes in degrees"),
    )
    for holds, scale, words in rules:
        if holds:
            return _units(scale, f"{said}, {words}", preset)
    words = f"{said}: degrees, or -100 to 100 of a calibrated range? The driver must be told"
    return Units(usual if usual != "rad" else "degrees", words, certain=False)


def _of_positions(joints: Sequence[JointConfig], values: Iterable[T]) -> list[T]:
    """The values of the joints of kind position."""
    pairs = zip(joints, values, strict=False)
    return [value for joint, value in pairs if joint.kind == "position"]


def _units(scale: Scale | None, evidence: str, preset: Preset | None) -> Units:
    if scale is None or preset is None or scale in preset.forms:
        return Units(scale, evidence, certain=scale is not None)
    others = ", ".join(form.units for form in preset.forms.values())
    return Units(scale, f"{evidence}, while this robot counts {others}", certain=False)
