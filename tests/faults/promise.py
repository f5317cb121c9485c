"""What every fault must leave true, judged from the messages that an arm received.

Pure: takes a log of received commands and what the operator did, gives the promises that were
broken in words, and what was seen. All times are the daemon's own monotonic clock, which on
one computer is also the test's; the test's own delays therefore never decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.client.freshness import Freshness
from actd.link.messages import Action
from actd.mode import Mode

Vector = NDArray[np.float64]

_EPSILON = 1e-9
_OPERATOR_NS = 3_000_000_000  # an operator waits this long for an answer
_SILENT_NS = 500_000_000
MARGIN_NS = 1_000_000_000
"""Added to every deadline: a test machine may run one process that much later than asked."""


class Received(NamedTuple):
    """One message and when it arrived, on the receiver's monotonic clock."""

    arrival_ns: int
    action: Action


class Operated(NamedTuple):
    """One operator's command that was accepted, and when it was given."""

    t_ns: int
    event: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits that every joint of the test's robot has, and the daemon's time limits."""

    period_ns: int
    position: float
    velocity: float
    acceleration: float
    fault_after_ns: int
    ttl_ns: int

    @property
    def step(self) -> float:
        """The largest change of a command from one tick to the next."""
        return self.velocity * self.period_ns / 1e9

    @property
    def ramp_ticks(self) -> int:
        """The most ticks that coming to rest may take."""
        return math.ceil(self.velocity / (self.acceleration * self.period_ns / 1e9)) + 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must follow a fault.

    `modes`: the only ones allowed at the end. `held_ms` and `faulted_ms`: the latest at which
    the arm is no longer driven, and at which FAULT is latched; None: never asked for. `steady`:
    no mode may be seen but those of `modes`. `silent`: no message while the fault lasts.
    `ended`: the daemon ends, with this exit code, -9 for a kill.
    """

    promise: str
    modes: frozenset[Mode]
    held_ms: float | None = None
    faulted_ms: float | None = None
    steady: bool = False
    silent: bool = False
    ended: int | None = None


class Span(NamedTuple):
    """When the fault began and was over."""

    begin_ns: int
    end_ns: int


def judge(
    log: Sequence[Received],
    operated: Sequence[Operated],
    span: Span,
    outcome: Outcome,
    bounds: Bounds,
) -> list[str]:
    """Every broken promise, in words; empty when all were kept."""
    return [
        *wild_steps(log, bounds),
        *disorder(log),
        *no_rest(log, bounds),
        *re_engaged(log, operated, bounds),
        *outlived(log, bounds),
        *missed_outcome(log, span, outcome),
    ]


def wild_steps(log: Sequence[Received], bounds: Bounds) -> Iterator[str]:
    """Commands beyond the position, velocity or acceleration limit.

    A lost message is bridged by its sequence number: over g ticks a command may change by g
    steps, and the mean speeds of two neighbouring stretches by what their middles are apart.
    """
    dt_s = bounds.period_ns / 1e9
    for before, after in itertools.pairwise(_motion(log, dt_s)):
        where = f"at seq {after.seq}"
        if np.abs(after.position).max() > bounds.position + _EPSILON:
            yield f"{where}: position {np.abs(after.position).max():.4g} of {bounds.position:g}"
        speed = np.abs(after.velocity).max()
        if speed > bounds.velocity + _EPSILON:
            yield f"{where}: speed {speed:.4g} of {bounds.velocity:g}"
        change = np.abs(after.velocity - before.velocity).max()
        allowed = bounds.acceleration * dt_s * (before.ticks + after.ticks) / 2
        if change > allowed * (1 + _EPSILON) + _EPSILON:
            yield f"{where}: speed changed by {change:.4g} of {allowed:.4g}"


class _Motion(NamedTuple):
    """A command, and the mean velocity over the `ticks` since the one before it."""

    seq: int
    ticks: int
    mode: Mode
    position: Vector
    velocity: Vector


def _motion(log: Sequence[Received], dt_s: float) -> Iterator[_Motion]:
    """Every command with its speed; while nothing is commanded the arm rests where it is.

    A log may begin in the middle of a motion: its first command is only what the second is
    measured from. Where it begins with nothing commanded, the arm rests at its first command.
    """
    first = next((r.action for r in log if r.action.action), None)
    if first is None:
        return
    position = np.array(list(first.action.values()))
    seq = first.seq if first is log[0].action else log[0].action.seq - 1
    for _, action in log:
        ticks = action.seq - seq
        if ticks < 1:
            continue  # the one measured from, or out of order, which `disorder` tells
        target = np.array(list(action.action.values())) if action.action else position
        yield _Motion(action.seq, ticks, action.mode, target, (target - position) / (ticks * dt_s))
        position, seq = target, action.seq


def disorder(log: Sequence[Received]) -> Iterator[str]:
    """Messages that repeat, go back, or were sent before the one they follow."""
    for (_, before), (_, after) in itertools.pairwise(log):
        if after.seq <= before.seq:
            yield f"seq {after.seq} follows {before.seq}"
        if after.t_mono_ns <= before.t_mono_ns:
            yield f"at seq {after.seq}: sent before the message it follows"


def no_rest(log: Sequence[Received], bounds: Bounds) -> Iterator[str]:
    """Commands that speed up, or go on moving, though the arm is not driven."""
    braking, speed = 0, math.inf
    for motion in _motion(log, bounds.period_ns / 1e9):
        now = float(np.abs(motion.velocity).max())
        if motion.mode in (Mode.IDLE, Mode.ARMED):
            braking, speed = 0, now
            continue
        if motion.ticks == 1 and now > speed + _EPSILON:
            yield f"at seq {motion.seq}: sped up in {motion.mode.name}"
        if braking > bounds.ramp_ticks and now > _EPSILON:
            yield f"at seq {motion.seq}: still moving after {braking} ticks of {motion.mode.name}"
        # Where messages were lost, the arm may have moved in the first ticks of the stretch, and
        # even have been driven: their mean says nothing about the speed before or after.
        braking += motion.ticks
        speed = now if motion.ticks == 1 else math.inf


def re_engaged(
    log: Sequence[Received], operated: Sequence[Operated], bounds: Bounds
) -> Iterator[str]:
    """Motion that came back though no operator asked for it.

    A HOLD that no operator ordered may end by itself within `fault_after`; nothing else may.
    """
    unused = list(operated)
    held_ns: int | None = None
    for (_, before), (_, after) in itertools.pairwise(log):
        quiet_ns = after.t_mono_ns - before.t_mono_ns
        if before.mode is Mode.ARMED and after.mode is Mode.HOLD:
            held_ns = None if _take(unused, "hold", after.t_mono_ns) else after.t_mono_ns
        if after.mode is not Mode.ARMED:
            continue
        if before.mode is Mode.ARMED:
            if quiet_ns > bounds.fault_after_ns:
                yield f"at seq {after.seq}: driven again after {quiet_ns / 1e6:.0f} ms of silence"
        elif not _take(unused, "arm", after.t_mono_ns):
            in_time = held_ns is not None and (
                after.t_mono_ns - held_ns <= bounds.fault_after_ns + 2 * bounds.period_ns
            )
            if before.mode is not Mode.HOLD or not in_time:
                yield f"at seq {after.seq}: {before.mode.name} became ARMED without an operator"


def _take(operated: list[Operated], event: str, t_ns: int) -> bool:
    """Whether an operator's command explains what a tick did at `t_ns`; it explains one thing."""
    for given in operated:
        if given.event == event and 0 <= t_ns - given.t_ns < _OPERATOR_NS:
            operated.remove(given)
            return True
    return False


def outlived(log: Sequence[Received], bounds: Bounds) -> Iterator[str]:
    """Commands that a controller would still follow when their time to live is over."""
    freshness = Freshness()
    best_ns = None
    for arrival_ns, action in log:
        freshness.accept(action, arrival_ns)
        if round(action.ttl_ms * 1e6) != bounds.ttl_ns:
            yield f"at seq {action.seq}: ttl of {action.ttl_ms:g} ms"
        offset_ns = arrival_ns - action.t_mono_ns
        best_ns = offset_ns if best_ns is None else min(best_ns, offset_ns)
        if freshness.current(action.t_mono_ns + best_ns + bounds.ttl_ns) is not None:
            yield f"at seq {action.seq}: usable beyond its ttl"


def missed_outcome(log: Sequence[Received], span: Span, outcome: Outcome) -> Iterator[str]:
    """How what followed the fault differs from what was to follow."""
    seen = [action for _, action in log if action.t_mono_ns > span.begin_ns]
    if outcome.silent:
        # What was being sent when the fault struck may still arrive.
        during = [a for a in seen if a.t_mono_ns < span.end_ns]
        yield from (f"seq {a.seq}: sent while nothing could be" for a in during)
    if not outcome.ended and not seen:
        yield "no message after the fault"
    if seen and seen[-1].mode not in outcome.modes:
        yield f"{seen[-1].mode.name} at the end, not {_names(outcome.modes)}"
    if outcome.steady:
        strange = {a.mode for a in seen} - outcome.modes
        if strange:
            yield f"{_names(strange)} was seen, not only {_names(outcome.modes)}"
    for limit_ms, modes in (
        (outcome.held_ms, {Mode.HOLD, Mode.FAULT, Mode.STOP}),
        (outcome.faulted_ms, {Mode.FAULT}),
    ):
        if limit_ms is not None:
            yield from _overdue(seen, span.begin_ns, limit_ms, modes)


def _overdue(
    seen: Sequence[Action], begin_ns: int, limit_ms: float, modes: set[Mode]
) -> Iterator[str]:
    after_ns = next((a.t_mono_ns - begin_ns for a in seen if a.mode in modes), None)
    if after_ns is None:
        yield f"never {_names(modes)}"
    elif after_ns > limit_ms * 1e6 + MARGIN_NS:
        yield f"{_names(modes)} after {after_ns / 1e6:.0f} ms, due within {limit_ms:g} ms"


def _names(modes: Iterable[Mode]) -> str:
    return "/".join(mode.name for mode in sorted(modes))


def describe(log: Sequence[Received], span: Span, bounds: Bounds) -> str:
    """What was seen, in a line: each mode with its time, silence, and the largest step."""
    parts = [*_changes(log, span.begin_ns)]
    after = [a for _, a in log if a.t_mono_ns > span.begin_ns]
    if not after and log:
        expired_ns = log[-1].action.t_mono_ns + bounds.ttl_ns - span.begin_ns
        parts.append(f"silence, the last command expires after {expired_ns / 1e6:.0f} ms")
    elif not parts and after:
        parts.append(f"{after[-1].mode.name} throughout")
    steps = [
        float(np.abs(m.velocity).max()) * bounds.period_ns / 1e9
        for m in _motion(log, bounds.period_ns / 1e9)
    ]
    parts.append(f"largest step {max(steps, default=0.0):.3f} of {bounds.step:.3f} rad")
    return ", ".join(parts)


def _changes(log: Sequence[Received], begin_ns: int) -> Iterator[str]:
    for (_, before), (_, after) in itertools.pairwise(log):
        if after.t_mono_ns <= begin_ns:
            continue
        silent_ns = after.t_mono_ns - before.t_mono_ns
        if silent_ns > _SILENT_NS:
            yield f"silent for {silent_ns / 1e6:.0f} ms"
        if after.mode is not before.mode:
            yield f"{after.mode.name} after {(after.t_mono_ns - begin_ns) / 1e6:.0f} ms"
