"""Checks of punctuality: what the kernel grants, and how late a loop wakes."""

from __future__ import annotations

from collections.abc import Iterator

from actd.doctor.checks.computer import TUNE
from actd.doctor.facts import Daemon, Facts
from actd.doctor.finding import Check, Finding, Fine, NotApplicable, Problem
from actd.runtime.realtime import REFUSED, REQUIRED
from actd.timing import Percentiles

JITTER_SHARE = 0.1
"""cyclictest's rule: a loop should wake within a tenth of its period."""
LATE_SHARE = 0.5
"""Later than half a period, the slot is missed."""
STOLEN_SHARE = 0.01

NO_PRIORITY = Problem(
    "warning",
    "the tick gets no real-time priority: whatever computes may keep it waiting",
    "run it as the service, whose unit grants it (LimitRTPRIO), or: echo '{user} - rtprio 80' | "
    "sudo tee -a /etc/security/limits.d/actd.conf, and log in again",
)
PRIORITY_REQUIRED = Problem(
    "failure",
    "process.realtime is require, and the kernel refuses what it needs: the daemon will not start",
    "run it as the service, or allow rtprio and memlock in /etc/security/limits.d, or set "
    "process.realtime: prefer",
)
NOT_LOCKED = Problem(
    "warning",
    "the tick's memory cannot be locked: it may wait for the disk",
    "run it as the service, whose unit grants it (LimitMEMLOCK), or: echo '{user} - memlock "
    "unlimited' | sudo tee -a /etc/security/limits.d/actd.conf, and log in again",
)
_PUNCTUAL = (
    "end other programs that compute (top), mend what the checks above say of this computer "
    f"({TUNE} sets what may be set), then ask again with --seconds 60"
)
LATE = Problem(
    "failure",
    "one tick in a thousand comes later than half a period: slots are missed",
    _PUNCTUAL,
)
JITTERY = Problem(
    "warning", "one tick in a thousand comes later than a tenth of the period", _PUNCTUAL
)
NOT_MEASURED = Problem(
    "failure",
    "the measurement itself fails: a process of it dies, or does not get to run",
    "end other programs that compute (top), and try the engine alone: actd bench ENGINE",
)
STOLEN = Problem(
    "warning",
    "the hypervisor gave this machine's cores to others",
    "give the virtual machine cores of its own (CPU pinning), or run on the hardware itself",
)


def rights(facts: Facts) -> Iterator[Finding]:
    """What the kernel grants to the tick."""
    if facts.daemon is not None:
        granted, wish = facts.daemon.granted, facts.daemon.granted.get("wish", "prefer")
    elif facts.loops is not None:
        granted, wish = facts.loops.granted, facts.loops.wish
    else:
        yield NotApplicable(_unmeasured(facts))
        return
    if wish == "off":
        yield NotApplicable("process.realtime: off")
        return
    refused = {name: text for name, text in granted.items() if text.startswith(REFUSED)}
    refusals = ", ".join(f"{name} {text}" for name, text in refused.items())
    if wish == "require" and refused.keys() & set(REQUIRED):
        yield PRIORITY_REQUIRED.seen(refusals)
        return
    problems = {"sched_fifo": NO_PRIORITY, "mlockall": NOT_LOCKED}
    seen: list[Finding] = [
        problem.seen(f"{name} {refused[name]}", user=facts.user)
        for name, problem in problems.items()
        if name in refused
    ]
    yield from seen or [Fine("SCHED_FIFO and locked memory are granted")]


def lateness(facts: Facts) -> Iterator[Finding]:
    """How late the tick wakes, beside a loop that asks for nothing."""
    if facts.daemon is not None:
        yield _of_daemon(facts.daemon)
        return
    loops = facts.loops
    if facts.loops_error:
        yield NOT_MEASURED.told(facts.loops_error)
    if loops is None:
        if not facts.loops_error:
            yield NotApplicable(_unmeasured(facts))
        return
    tick, bare = loops.tick, loops.bare
    load = " while the engine computes" if loops.inferring else ""
    observed = (
        f"{1e3 / loops.period_ms:g} Hz for {loops.seconds:g} s{load}: {_words(tick)}, missed "
        f"{loops.missed}; bare loop {_words(bare)}, missed {loops.bare_missed}; "
        f"{loops.stolen_ms:.0f} ms stolen"
    )
    if loops.stolen_ms > STOLEN_SHARE * 1e3 * loops.seconds:
        yield STOLEN.seen(f"{loops.stolen_ms:.0f} ms of {loops.seconds:g} s stolen")
    yield _graded(tick.p999_ms, loops.period_ms, observed)


def _of_daemon(daemon: Daemon) -> Finding:
    late = daemon.lateness_us
    observed = (
        f"of the running daemon at {1e3 / daemon.period_ms:g} Hz: "
        f"p50 {late['p50'] / 1e3:.2f}, p99.9 {late['p999'] / 1e3:.2f}, "
        f"max {late['max'] / 1e3:.2f} ms, missed {daemon.missed}"
    )
    return _graded(late["p999"] / 1e3, daemon.period_ms, observed)


def _graded(p999_ms: float, period_ms: float, observed: str) -> Finding:
    if p999_ms > LATE_SHARE * period_ms:
        return LATE.seen(observed)
    if p999_ms > JITTER_SHARE * period_ms:
        return JITTERY.seen(observed)
    return Fine(observed)


def _words(late: Percentiles) -> str:
    return f"p50 {late.p50_ms:.2f}, p99.9 {late.p999_ms:.2f}, max {late.max_ms:.2f} ms"


def _unmeasured(facts: Facts) -> str:
    return facts.unmeasured or "not measured (--seconds 0)"


CHECKS = (
    Check(
        "realtime",
        "what the kernel grants to a tick that this user starts, or to the daemon's",
        (PRIORITY_REQUIRED, NO_PRIORITY, NOT_LOCKED),
        rights,
    ),
    Check(
        "lateness",
        "how late a loop wakes with the tick's rights while the engine computes, beside a bare "
        "loop; or the running daemon's own figures",
        (LATE, JITTERY, NOT_MEASURED, STOLEN),
        lateness,
    ),
)
