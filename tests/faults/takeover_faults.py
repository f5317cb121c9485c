"""What befalls an arm that is led, and its leader: the part of the table after the moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.faults import injections as inject
from tests.faults import leads, mishaps
from tests.faults.deployment import STATE_MS, Setup
from tests.faults.fault import ARMED, HOLD, TAKEOVER, UNDISTURBED, Fault, unmoved
from tests.faults.ordered_faults import Ordered
from tests.faults.outcome import Outcome

_LED = Ordered(TAKEOVER, "lets it be led again", Setup())


def _leader() -> Iterator[Fault]:
    stale = _LED.held(STATE_MS, "the leader is [0-9.]+ ms old")
    for name, how, injection in (
        ("leader unplugged", "nothing is told of it any more", leads.says(leads.nothing)),
        ("leader hangs", "one place, with its old stamp", leads.hangs),
        ("leader of other joints", "left_j0 ...", leads.says(leads.renamed)),
        ("leader of 1e6", "every joint", leads.says(leads.everywhere(1e6))),
        ("leader in degrees", "for radians, times 57.3", leads.degrees),
    ):
        yield _LED.fault(name, how, stale, injection, 0.6)
    yield _LED.fault(
        "leader that is none",
        "NaN in a joint: the whole message is refused",
        _LED.held(STATE_MS, "robot state is|the leader is"),
        leads.says(leads.no_number),
        0.6,
    )
    yield _LED.fault(
        "leader jumps",
        "0.6 rad away, and stays there",
        replace(
            _LED.held(0, "the leader jumped by"),
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
    yield from _LED.of_the_arm()
    yield _LED.fault(
        "controller restarts elsewhere",
        "another source after 1.2 s, 0.8 rad away",
        replace(
            _LED.held(STATE_MS, "robot state is|acknowledged|no leader"),
            promise="HOLD while it is gone; no jump of the arm; only another order lets it be led "
            "again",
        ),
        mishaps.restart(1.2, elsewhere=True),
        0.5,
    )
    yield from _LED.of_its_controller()
    yield _LED.fault(
        "camera stops",
        "no images",
        Outcome("motion goes on: the operator looks", frozenset({TAKEOVER}), steady=True),
        inject.show(lambda _: None),
        1.5,
    )
    yield from _LED.of_the_daemon()
