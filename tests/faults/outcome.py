"""What must follow one fault, and what was seen of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from actd.link.messages import Action
from actd.mode import Mode
from tests.faults.life import Bounds, Life, Span, vector
from tests.faults.promise import DRIVEN, RESTING, distance

_SILENT_NS = 300_000_000
_STILL = 0.05  # rad/s: an arm that has come to rest
MARGIN_MS = 100
"""Added to every deadline that ticks decide: some periods, and images on their way."""
SLOW_MARGIN_MS = 1000
"""The same where the supervisor must first notice something: it runs when it gets a turn."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must follow a fault.

    `modes`: the only ones allowed at the end. `held_ms` and `faulted_ms`: the latest at which
    the arm is no longer driven, and at which FAULT is latched; None: never asked for. `says`: a
    pattern of the reason that messages give. `steady`: no mode may be seen but those of `modes`.
    `silent`: no message while the fault lasts. `ended`: the daemon ends, with this exit code;
    `announced`: at rest and with STOP as its last word.
    """

    promise: str
    modes: frozenset[Mode]
    held_ms: float | None = None
    faulted_ms: float | None = None
    margin_ms: float = MARGIN_MS
    says: str = ""
    steady: bool = False
    silent: bool = False
    ended: int | None = None
    announced: bool = False


def missed(life: Life, span: Span, outcome: Outcome, bounds: Bounds) -> Iterator[str]:
    """How what followed the fault differs from what was to follow."""
    seen = _after(life, span.begin_ns)
    if outcome.silent:
        # What was being sent when the fault struck may still arrive.
        early_ns = span.begin_ns + bounds.period_ns // 2
        during = [a for a in seen if early_ns < a.t_boot_ns < span.end_ns]
        yield from (f"seq {a.seq}: sent while nothing could be" for a in during)
    if outcome.ended is None and not seen:
        yield "no message after the fault"
    if seen and seen[-1].mode not in outcome.modes:
        yield f"{seen[-1].mode.name} at the end, not {_names(outcome.modes)}"
    if outcome.steady:
        strange = {a.mode for a in seen} - outcome.modes
        if strange:
            yield f"{_names(strange)} was seen, not only {_names(outcome.modes)}"
    for limit_ms, modes in ((outcome.held_ms, RESTING), (outcome.faulted_ms, {Mode.FAULT})):
        if limit_ms is not None:
            yield from _overdue(seen, span.begin_ns, limit_ms, outcome.margin_ms, modes)
    if outcome.says:
        said = sorted({a.reason for a in seen})
        if not any(re.search(outcome.says, reason) for reason in said):
            yield f"nothing says {outcome.says!r}, but {said}"
    if outcome.announced:
        yield from unannounced(life)


def _overdue(
    seen: Sequence[Action], begin_ns: int, limit_ms: float, margin_ms: float, modes: Set[Mode]
) -> Iterator[str]:
    after_ns = next((a.t_boot_ns - begin_ns for a in seen if a.mode in modes), None)
    if after_ns is None:
        yield f"never {_names(modes)}"
    elif after_ns > (limit_ms + margin_ms) * 1e6:
        yield f"{_names(modes)} after {after_ns / 1e6:.0f} ms, due within {limit_ms:g} ms"


def unannounced(life: Life) -> Iterator[str]:
    """How the end differs from one that an arm can rely on: at rest, and with STOP."""
    last = [received.action for received in life.log[-2:]]
    if len(last) < 2 or any(action.mode is not Mode.STOP for action in last):
        yield f"its last words were {', '.join(a.mode.name for a in last) or 'none'}, not STOP"
        return
    stop = next(
        place
        for place in range(len(life.log) - 1, -1, -1)
        if place == 0 or life.log[place - 1].action.mode is not Mode.STOP
    )
    moving = [r.action for r in life.log[stop:] if r.action.rest_ms > 0]
    if moving and last[-1].rest_ms > 0:
        yield f"STOP with {last[-1].rest_ms:.0f} ms of motion left"
    elif moving and stop > 0 and life.log[stop - 1].action.mode is Mode.HOLD:
        yield f"STOP was said before the arm was at rest, {moving[0].rest_ms:.0f} ms too early"
    if life.arm and life.arm[-1].speed > _STILL:
        yield f"the arm still moves with {life.arm[-1].speed:.2g} rad/s"


def _names(modes: Iterable[Mode]) -> str:
    return "/".join(mode.name for mode in sorted(modes))


def _after(life: Life, begin_ns: int) -> list[Action]:
    return [r.action for r in life.log if r.action.t_boot_ns > begin_ns]


# --- what was seen


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a fault, for the page: in words; ms until the arm was no longer driven, None
    where it was; the arm's largest speed while servos moved it; and its largest distance from a
    command.
    """

    words: str = ""
    reaction_ms: float | None = None
    speed: float = 0.0
    distance: float = 0.0


def observe(life: Life, span: Span, bounds: Bounds) -> Seen:
    """Everything that is told of a fault."""
    commands = [(life.at(a.t_boot_ns), vector(a)) for a in _after(life, span.begin_ns)]
    return Seen(
        words=", ".join(_words(life, span.begin_ns, bounds)),
        reaction_ms=_reaction_ms(life, span.begin_ns),
        speed=max((s.speed for s in life.arm if s.driven and s.t_ns > span.begin_ns), default=0.0),
        distance=max(
            (distance(s, c, bounds) for s, c in commands if s is not None and c is not None),
            default=0.0,
        ),
    )


def _reaction_ms(life: Life, begin_ns: int) -> float | None:
    """Until the first message that does not drive, or until the last one expires."""
    before = [r.action for r in life.log if r.action.t_boot_ns <= begin_ns]
    if not before or before[-1].mode not in DRIVEN:
        return None
    last = before[-1]
    for action in _after(life, begin_ns):
        if action.t_boot_ns - last.t_boot_ns > last.ttl_ms * 1e6:
            break
        if action.mode not in DRIVEN:
            return (action.t_boot_ns - begin_ns) / 1e6
        last = action
    else:
        if last.mode in DRIVEN and life.arm and life.arm[-1].t_ns - last.t_boot_ns < _SILENT_NS:
            return None
    return (last.t_boot_ns - begin_ns) / 1e6 + last.ttl_ms


def _words(life: Life, begin_ns: int, bounds: Bounds) -> Iterator[str]:
    after = _after(life, begin_ns)
    changes = list(_changes(life, begin_ns))
    yield from changes
    if not after and life.log:
        expired_ns = life.log[-1].action.t_boot_ns + bounds.ttl_ns - begin_ns
        yield f"silence, the last command expires after {expired_ns / 1e6:.0f} ms"
    elif not changes and after:
        yield f"{after[-1].mode.name} throughout"


def _changes(life: Life, begin_ns: int) -> Iterator[str]:
    for (_, before), (_, after) in itertools.pairwise(life.log):
        if after.t_boot_ns <= begin_ns:
            continue
        silent_ns = after.t_boot_ns - before.t_boot_ns
        if silent_ns > _SILENT_NS / 2:
            yield f"silent for {silent_ns / 1e6:.0f} ms"
        if after.mode is not before.mode:
            yield f"{after.mode.name} after {(after.t_boot_ns - begin_ns) / 1e6:.0f} ms"
