"""What befalls an arm that the daemon moves to a pose: the part of the table between the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.faults import injections as inject
from tests.faults import mishaps
from tests.faults.deployment import FROZEN_MS, STATE_MS, Setup
from tests.faults.fault import FAULT, HOLD, MOVING, Fault
from tests.faults.ordered_faults import Ordered
from tests.faults.outcome import Outcome

# Slow enough that a fault meets an arm that moves.
_MOVED = Ordered(MOVING, "moves it again", Setup(velocity=0.5, acceleration=5.0))


def move_faults() -> Iterator[Fault]:
    """All of them; the one that ends the daemon comes last."""
    fault, held = _MOVED.fault, _MOVED.held
    yield from _MOVED.of_the_arm()
    for pause_s, elsewhere, how in (
        (1.2, False, "another source after 1.2 s, same place"),
        (1.2, True, "another source after 1.2 s, 0.8 rad away"),
    ):
        place = "elsewhere" if elsewhere else f"within {pause_s:g} s"
        yield fault(
            f"controller restarts {place}",
            how,
            replace(
                held(STATE_MS, "robot state is|acknowledged"),
                promise="HOLD while it is gone; no jump of the arm; only another order moves it",
            ),
            mishaps.restart(pause_s, elsewhere=elsewhere),
            lasts_s=0.5,
        )
    stale = held(STATE_MS, "robot state is")
    yield fault("controller hangs", "open sockets", stale, mishaps.hang, lasts_s=1.0)
    yield from _MOVED.of_its_controller()
    yield fault("state late", "600 ms", stale, mishaps.late(0.6), lasts_s=0.8)
    yield fault(
        "state frozen",
        "the same place, freshly stamped",
        Outcome(
            f"HOLD within {FROZEN_MS} ms of motion, or FAULT; only another order moves it again",
            frozenset({HOLD, FAULT}),
            held_ms=FROZEN_MS + 300,
            says="stand still|does not follow",
        ),
        mishaps.frozen_place,
        lasts_s=1.0,
    )
    yield fault(
        "camera stops",
        "no images, on the way to the pose park",
        Outcome("motion goes on, and ends in HOLD there", frozenset({MOVING, HOLD}), says="parked"),
        inject.show(lambda _: None),
        lasts_s=4.0,
    )
    yield from _MOVED.of_the_daemon()
