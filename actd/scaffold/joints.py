"""The joints of a deployment and their limits, from what is known. Pure.

In falling order: from the demonstrations, from the robot's preset, guessed from the range of the
training data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actd.config import JointConfig
from actd.config.checks import LONGEST_START_SHARE, LONGEST_STOP_S
from actd.config.robot import COMPARED, START_SHARE
from actd.config.section import MOST
from actd.control.interpolation import Interpolation
from actd.control.limits import Kind
from actd.demonstrations import Motion
from actd.policy.spec import PolicySpec
from actd.replay.limits import MARGIN, POSITION_MARGIN

ERROR_MARGIN = 1.5
"""On how far the arm was from its commands in the demonstrations."""

# A joint that the demonstrations moved by less than this share of its place, or of the widest range
# of its kind, was still; it is allowed this share of the widest range. Speeds have units of their
# own, and one that was still is allowed next to none.
_STILL_SHARE = 1e-3
_LEAST_SHARE = 0.05
_LEAST_SPEED = 1e-3
# However far the arm was from its commands, where it begins and where it is blocked must be told.
_MOST_WIDENING = 2.0
_MOST_FOLLOW_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Playback:
    """How rows become commands: it decides what accelerations the arm is asked for."""

    rate_hz: float
    interpolation: Interpolation

    def acceleration_factor(self, fps: float) -> float:
        """By how much straight lines between rows raise the acceleration of the rows.

        A speed that changes at a row does so within one tick. The spline's never exceeds the rows'.
        """
        return 1.0 if self.interpolation == "smooth" else max(1.0, self.rate_hz / fps)


def ranges_of(spec: PolicySpec) -> list[tuple[float, float]]:
    """Smallest and largest command of each joint in training, -1 to 1 where not known."""
    count = spec.action_dim
    lows, highs = spec.likely_range(spec.action.key) or ((-1.0,) * count, (1.0,) * count)
    return list(zip(lows, highs, strict=True))


def still_joints(spec: PolicySpec, kinds: Sequence[Kind]) -> frozenset[int]:
    """Joints that never moved in training."""
    ranges = list(zip(kinds, ranges_of(spec), strict=True))
    widest = {kind: _widest([pair for other, pair in ranges if other == kind]) for kind in kinds}
    widest["velocity"] = 0.0
    return frozenset(
        j
        for j, (kind, (low, high)) in enumerate(ranges)
        if high - low <= _STILL_SHARE * max(abs(low), abs(high), widest[kind])
    )


def demonstrated_joints(
    spec: PolicySpec, kinds: Sequence[Kind], motion: Motion, playback: Playback
) -> list[JointConfig]:
    """Limits that the demonstrations keep: their range and POSITION_MARGIN of it on either side,
    MARGIN times the percentiles of their rates.
    """
    factor = playback.acceleration_factor(motion.fps)
    return [
        _demonstrated(kind, low, high, least, _Rates.of(motion, j, factor, moves=not least))
        for j, (kind, (low, high), least) in enumerate(_each(spec, kinds))
    ]


def guessed_joints(spec: PolicySpec, kinds: Sequence[Kind]) -> list[JointConfig]:
    """Careful guesses from the range of the training data."""
    return [_guessed(kind, low, high, least) for kind, (low, high), least in _each(spec, kinds)]


def _each(
    spec: PolicySpec, kinds: Sequence[Kind]
) -> Iterator[tuple[Kind, tuple[float, float], float]]:
    """Of each joint: kind, range in training, and the least that is allowed one that was still, 0
    for one that moved.
    """
    ranges, still = ranges_of(spec), still_joints(spec, kinds)
    places = [pair for kind, pair in zip(kinds, ranges, strict=True) if kind != "velocity"]
    least = _LEAST_SHARE * _widest(places) or 1e-3
    for j, (kind, pair) in enumerate(zip(kinds, ranges, strict=True)):
        yield kind, pair, 0.0 if j not in still else _LEAST_SPEED if kind == "velocity" else least


def _widest(ranges: Sequence[tuple[float, float]]) -> float:
    return max((high - low for low, high in ranges), default=0.0)


@dataclass(frozen=True, slots=True)
class _Rates:
    """Of one joint, with their margins; speeds are 0 for one that did not move."""

    velocity: float
    acceleration: float
    start: float
    follow: float

    @classmethod
    def of(cls, motion: Motion, j: int, factor: float, *, moves: bool) -> _Rates:
        margin = MARGIN if moves else 0.0
        return cls(
            velocity=margin * motion.velocity[j],
            acceleration=margin * factor * motion.acceleration[j],
            start=ERROR_MARGIN * motion.start_error[j],
            follow=ERROR_MARGIN * motion.follow_error[j],
        )


def _demonstrated(kind: Kind, low: float, high: float, least: float, rates: _Rates) -> JointConfig:
    if kind == "velocity":
        low, high = min(low, 0.0), max(high, 0.0)
    compared = kind in COMPARED
    start, follow = (rates.start, rates.follow) if compared else (0.0, 0.0)
    # The first command must be near the arm: within the range for those that are not compared, and
    # else no farther than tells one unit from another.
    share = LONGEST_START_SHARE if compared else 1.0
    room = 1.01 * rates.start / share / (1 + 2 * POSITION_MARGIN)
    if compared:
        room = min(room, _MOST_WIDENING * max(high - low, least))
    span = _span(low, high, max(least, room))
    position = _widened(low, high, span)
    width = position[1] - position[0]
    usual_start = START_SHARE * width
    start = min(start, 0.99 * LONGEST_START_SHARE * width)
    follow = min(follow, _MOST_FOLLOW_SHARE * width)
    velocity = rates.velocity or span
    if kind == "velocity":
        velocity = max(velocity, 1.01 * max(map(abs, position)) / LONGEST_STOP_S)
    acceleration = max(rates.acceleration or 4 * span, 1.01 * velocity / LONGEST_STOP_S)
    return JointConfig(
        kind=kind,
        position=position,
        velocity=_digits(velocity),
        acceleration=None if kind == "velocity" else _digits(acceleration),
        start_distance=_digits(start) if start > usual_start else None,
        follow_distance=_digits(follow) if follow > max(usual_start, start) else None,
    )


def _guessed(kind: Kind, low: float, high: float, least: float) -> JointConfig:
    if kind == "velocity":
        low, high = min(low, 0.0), max(high, 0.0)
    span = _span(low, high, least)
    # The whole range in one second, reached within a quarter of one: slow for a teleoperated arm.
    return JointConfig(
        kind=kind,
        position=_widened(low, high, span),
        velocity=_digits(span if kind != "velocity" else 4 * span),
        acceleration=None if kind == "velocity" else _digits(4 * span),
    )


def _span(low: float, high: float, least: float) -> float:
    # not less than what the file's digits and a float32 can tell apart
    return max(high - low, least, 1e-6 * abs((low + high) / 2))


def _widened(low: float, high: float, span: float) -> tuple[float, float]:
    """A range of `span` and POSITION_MARGIN of it on either side, around the middle."""
    middle, half = (low + high) / 2, (0.5 + POSITION_MARGIN) * span
    digits = 3 - math.floor(math.log10(span))
    return round(middle - half, digits), round(middle + half, digits)


def _digits(value: float) -> float:
    return float(f"{min(value, MOST):.4g}")
