"""One fault from beginning to end: break, watch, mend, judge."""

from __future__ import annotations

import time

from actd.client.freshness import Freshness
from actd.errors import LinkError
from actd.mode import Mode
from tests.faults.deployment import BOUNDS
from tests.faults.faults import Fault
from tests.faults.page import Verdict
from tests.faults.promise import Span, describe, judge
from tests.faults.rig import PATIENCE_S, Rig

_SETTLE_S = 0.7
_DESCRIPTORS_MORE = 2
"""A supervisor may hold this many more than before: an answer on its way to an operator."""


def run(fault: Fault, rig: Rig) -> Verdict:
    """Inject `fault` into a rig that `bring` has led into its mode."""
    rig.notes.clear()
    descriptors = rig.process("supervisor").num_fds()
    begin = max(0, len(rig.arm.log) - 4)
    rejected = rig.arm.rejected
    with fault.inject(rig):
        span_begin_ns = time.monotonic_ns()
        broken = _watch(fault, rig)
        span = Span(span_begin_ns, time.monotonic_ns())
    time.sleep(_SETTLE_S)
    log = list(rig.arm.log[begin:])
    broken += judge(log, rig.operated, span, fault.outcome, BOUNDS)
    broken += [f"{rig.arm.rejected - rejected} messages were not schema v1"] * (
        rig.arm.rejected > rejected
    )
    if fault.outcome.silent and not log:
        broken.append("no message before the fault")
    observed = [describe(log, span, BOUNDS), *rig.notes]
    if fault.outcome.ended is None and not fault.spends:
        broken += _survived(fault, rig, descriptors)
    return Verdict("; ".join(observed), "; ".join(broken[:3]))


def _watch(fault: Fault, rig: Rig) -> list[str]:
    """Wait for what the outcome says, or for as long as the fault lasts."""
    outcome = fault.outcome
    if outcome.ended is not None:
        return _watch_end(fault, rig)
    if outcome.modes == {Mode.FAULT} and not outcome.silent and fault.mode is Mode.ARMED:
        try:
            rig.wait(lambda: rig.mode() == "FAULT", "FAULT")
        except AssertionError as error:
            return [str(error).splitlines()[0][:200]]
        return []
    time.sleep(fault.lasts_s)
    return _held_back(rig) if outcome.silent else []


def _watch_end(fault: Fault, rig: Rig) -> list[str]:
    code = rig.daemon.wait(PATIENCE_S)
    left = rig.leftovers()
    late = _held_back(rig)
    return [
        *([f"exit code {code}, not {fault.outcome.ended}"] if code != fault.outcome.ended else []),
        *(f"left: {thing}" for thing in left),
        *late,
    ]


def _held_back(rig: Rig) -> list[str]:
    """Whether a controller with the shipped rule still follows a daemon that fell silent."""
    freshness = Freshness()
    for arrival_ns, action in rig.arm.log:
        freshness.accept(action, arrival_ns)
    current = freshness.current(time.monotonic_ns())
    return [] if current is None else [f"seq {current.seq} is still followed in silence"]


def _survived(fault: Fault, rig: Rig, descriptors: int) -> list[str]:
    """The daemon is whole again, has leaked nothing, and an operator can go on from here."""
    rig.calm()
    try:
        if fault.mode is Mode.ARMED:
            rig.bring(Mode.ARMED)
        rig.wait(rig.is_healthy, "every process to be back")
        supervisor = rig.process("supervisor")
        rig.wait(
            lambda: supervisor.num_fds() <= descriptors + _DESCRIPTORS_MORE,
            "file descriptors to be given back",
            lambda: f"({supervisor.num_fds()}, {descriptors} before)",
        )
    except (AssertionError, LinkError) as error:
        return [str(error).splitlines()[0][:300]]
    return []
