"""What befalls an arm that is led, and its leader: the part of the table after the moves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

from tests.faults import injections as inject
from tests.faults import leads, mishaps, orders
from tests.faults.deployment import CONTROLLER_MS, FOLLOW_MS, STATE_MS
from tests.faults.fault import (
    ARMED,
    DIED,
    ENDS,
    HOLD,
    STOPPED,
    TAKEOVER,
    UNDISTURBED,
    Fault,
    faulted,
    unmoved,
)
from tests.faults.injections import Injection
from tests.faults.outcome import Outcome


def _fault(
    name: str, how: str, outcome: Outcome, injection: Injection, lasts_s: float = 0.3
) -> Fault:
    return Fault(name, how, TAKEOVER, outcome, injection, lasts_s=lasts_s)


def _held(within_ms: float, says: str) -> Outcome:
    """Short or long: who led does not lead on by itself."""
    return Outcome(
        f"HOLD within {within_ms:g} ms; only another order lets it lead on",
        frozenset({HOLD}),
        held_ms=within_ms,
        says=says,
    )


def _leader() -> Iterator[Fault]:
    stale = _held(STATE_MS, "the leader is [0-9.]+ ms old")
    for name, how, injection in (
        ("leader unplugged", "nothing is told of it any more", leads.says(leads.nothing)),
        ("leader hangs", "one place, with its old stamp", leads.hangs),
        ("leader of other joints", "left_j0 ...", leads.says(leads.renamed)),
        ("leader of 1e6", "every joint", leads.says(leads.everywhere(1e6))),
        ("leader in degrees", "for radians, times 57.3", leads.degrees),
    ):
        yield _fault(name, how, stale, injection, 0.6)
    yield _fault(
        "leader that is none",
        "NaN in a joint: the whole message is refused",
        _held(STATE_MS, "robot state is|the leader is"),
        leads.says(leads.no_number),
        0.6,
    )
    yield _fault(
        "leader jumps",
        "0.6 rad away, and stays there",
        replace(
            _held(0, "the leader jumped by"),
            promise="HOLD at once, where the arm is; it never goes there",
        ),
        leads.says(leads.away(0.6)),
        0.6,
    )


def _without_an_order() -> Iterator[Fault]:
    still = unmoved(HOLD)
    yield Fault(
        "leader moves",
        "0.4 rad to and fro, and nobody orders anything",
        HOLD,
        still,
        leads.moves,
        lasts_s=2.0,
    )
    yield Fault(
        "leader far from the arm",
        "0.6 rad, and an operator lets it take over",
        HOLD,
        replace(still, promise="`takeover` is refused; stays HOLD, the arm stays where it is"),
        leads.too_far,
    )
    yield Fault(
        "takeover, delivered late",
        "sent in time, the tick process stopped for 1.3 s",
        HOLD,
        replace(still, promise="rejected"),
        leads.late,
    )
    yield Fault(
        "takeover, and back",
        "in motion, the leader is where the arm is; half a second later the policy again",
        ARMED,
        replace(UNDISTURBED, promise="motion goes on, without a jump of the arm"),
        leads.there_and_back,
    )


def takeover_faults() -> Iterator[Fault]:
    """All of them; the one that ends the daemon comes last."""
    yield from _leader()
    yield from _without_an_order()
    lost = replace(
        faulted(1500, "does not follow"),
        promise=f"FAULT {FOLLOW_MS} ms after the arm is too far from its command; it does not jump "
        "back; only an operator lets it be led again",
    )
    yield _fault("collision", "a wall stops one joint where it is", lost, mishaps.collide)
    yield _fault("pulled away by hand", "carried 0.8 rad", lost, mishaps.carry_slowly, 0.5)
    yield _fault("stop", "an operator's order", STOPPED, orders.stop_now)
    yield _fault(
        "controller restarts elsewhere",
        "another source after 1.2 s, 0.8 rad away",
        replace(
            _held(STATE_MS, "robot state is|acknowledged|no leader"),
            promise="HOLD while it is gone; no jump of the arm; only another order lets it lead on",
        ),
        mishaps.restart(1.2, elsewhere=True),
        0.5,
    )
    yield _fault(
        "nobody acts on the commands",
        "state without acknowledgement, a mere listener on the actions",
        _held(CONTROLLER_MS, "acknowledged"),
        mishaps.says(mishaps.not_acting),
        1.0,
    )
    two = replace(faulted(0, "two programs send"), promise="FAULT at once")
    yield _fault("second sender of the state", "another place, 100 Hz", two, mishaps.rival)
    yield _fault(
        "camera stops",
        "no images",
        Outcome("motion goes on: the operator looks", frozenset({TAKEOVER}), steady=True),
        inject.show(lambda _: None),
        1.5,
    )
    silent = Outcome(
        "silence: the arm stops gently after the ttl; then HOLD; only another order lets it be led",
        frozenset({HOLD}),
        silent=True,
        says="no command was sent for",
    )
    stopped = inject.send(signal.SIGSTOP, "tick")
    yield _fault("SIGSTOP tick for 0.5 s", "SIGSTOP, then SIGCONT", silent, stopped, 0.5)
    yield _fault("kill -9 inference", "kill -9", DIED, inject.send(signal.SIGKILL, "inference"))
    how = "SIGTERM to the process group: a service manager that ends everything"
    yield _fault("SIGTERM to all", how, ENDS, inject.to_group(signal.SIGTERM))
