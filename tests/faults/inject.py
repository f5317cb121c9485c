"""One fault from beginning to end: break, watch, mend, judge."""

from __future__ import annotations

import time

from actd.errors import LinkError
from actd.link.age import boottime_ns
from actd.mode import Mode
from tests.faults.deployment import hull
from tests.faults.fault import Fault
from tests.faults.life import Span
from tests.faults.outcome import missed, observe
from tests.faults.page import Verdict
from tests.faults.promise import DRIVEN, always
from tests.faults.rig import PATIENCE_S, Rig

_SETTLE_S = 0.7
_BEFORE_NS = 500_000_000  # of the life before the fault, to see what it changes
_DESCRIPTORS_MORE = 2
"""A supervisor may hold this many more than before: an answer on its way to an operator."""


def run(fault: Fault, rig: Rig) -> Verdict:
    """Inject `fault` into a rig that `bring` has led into its mode."""
    rig.begin()
    descriptors = rig.process("supervisor").num_fds()
    rejected = rig.arm.rejected
    entered_ns = boottime_ns()
    with fault.inject(rig):
        begin_ns = rig.struck_ns or boottime_ns()
        broken = _watch(fault, rig)
        span = Span(begin_ns, boottime_ns())
    time.sleep(_SETTLE_S)
    life = rig.life.cut(entered_ns - _BEFORE_NS, 1 << 62)
    broken += missed(life, span, fault.outcome, rig.bounds)
    broken += always(life, rig.bounds, hull(life))
    if rig.arm.rejected > rejected:
        broken.append(f"{rig.arm.rejected - rejected} messages were not schema v1")
    seen = observe(life, span, rig.bounds)
    if fault.outcome.ended is None and not fault.spends:
        broken += _survived(fault, rig, descriptors)
    return Verdict(seen, "; ".join(rig.notes), "; ".join(broken[:4]))


def _watch(fault: Fault, rig: Rig) -> list[str]:
    """Wait for what the outcome says, or for as long as the fault lasts."""
    outcome = fault.outcome
    if outcome.ended is not None:
        return _watch_end(fault, rig)
    if outcome.modes == {Mode.FAULT} and not outcome.silent and fault.mode in DRIVEN:
        try:
            rig.wait_mode(Mode.FAULT)
        except AssertionError as error:
            return [str(error).splitlines()[0][:200]]
    time.sleep(fault.lasts_s)
    return []


def _watch_end(fault: Fault, rig: Rig) -> list[str]:
    code = rig.daemon.wait(PATIENCE_S)
    left = rig.leftovers()
    wrong = [f"exit code {code}, not {fault.outcome.ended}"] if code != fault.outcome.ended else []
    return wrong + [f"left: {thing}" for thing in left]


def _survived(fault: Fault, rig: Rig, descriptors: int) -> list[str]:
    """The daemon is whole again, has leaked nothing, and an operator can go on from here."""
    rig.calm()
    try:
        if fault.mode in DRIVEN:
            rig.bring(fault.mode)
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
