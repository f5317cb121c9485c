"""What befalls an arm that the daemon moves to a pose: the part of the table between the others."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

from tests.faults import injections as inject
from tests.faults import mishaps, orders
from tests.faults.deployment import CONTROLLER_MS, FOLLOW_MS, FROZEN_MS, STATE_MS, Setup
from tests.faults.fault import DIED, ENDS, FAULT, HOLD, MOVING, STOPPED, Fault, faulted
from tests.faults.injections import Injection
from tests.faults.outcome import Outcome

# Slow enough that a fault meets an arm that moves.
_SLOW = Setup(velocity=0.5, acceleration=5.0)


def _fault(
    name: str, how: str, outcome: Outcome, injection: Injection, lasts_s: float = 0.3
) -> Fault:
    return Fault(name, how, MOVING, outcome, injection, setup=_SLOW, lasts_s=lasts_s)


def _held(within_ms: float, says: str) -> Outcome:
    """Short or long: what was interrupted is not gone on with."""
    return Outcome(
        f"HOLD within {within_ms:g} ms; only another order moves it again",
        frozenset({HOLD}),
        held_ms=within_ms,
        says=says,
    )


def move_faults() -> Iterator[Fault]:
    """All of them; the one that ends the daemon comes last."""
    lost = replace(
        faulted(1500, "does not follow"),
        promise=f"FAULT {FOLLOW_MS} ms after the arm is too far from its command; it does not jump "
        "back; only an operator moves it again",
    )
    yield _fault("collision", "a wall stops one joint where it is", lost, mishaps.collide)
    yield _fault("pulled away by hand", "carried 0.8 rad", lost, mishaps.carry_slowly, lasts_s=0.5)
    yield _fault("stop", "an operator's order", STOPPED, orders.stop_now)
    for pause_s, elsewhere, how in (
        (1.2, False, "another source after 1.2 s, same place"),
        (1.2, True, "another source after 1.2 s, 0.8 rad away"),
    ):
        place = "elsewhere" if elsewhere else f"within {pause_s:g} s"
        yield _fault(
            f"controller restarts {place}",
            how,
            replace(
                _held(STATE_MS, "robot state is|acknowledged"),
                promise="HOLD while it is gone; no jump of the arm; only another order moves it",
            ),
            mishaps.restart(pause_s, elsewhere=elsewhere),
            lasts_s=0.5,
        )
    yield _fault(
        "controller hangs", "open sockets", _held(STATE_MS, "robot state is"), mishaps.hang, 1.0
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
        "state late", "600 ms", _held(STATE_MS, "robot state is"), mishaps.late(0.6), lasts_s=0.8
    )
    yield _fault(
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
    yield _fault(
        "camera stops",
        "no images, on the way to the pose park",
        Outcome("motion goes on, and ends in HOLD there", frozenset({MOVING, HOLD}), says="parked"),
        inject.show(lambda _: None),
        lasts_s=4.0,
    )
    silent = Outcome(
        "silence: the arm stops gently after the ttl; then HOLD; only another order moves it again",
        frozenset({HOLD}),
        silent=True,
        says="no command was sent for",
    )
    yield _fault(
        "SIGSTOP tick for 0.5 s",
        "SIGSTOP, then SIGCONT",
        silent,
        inject.send(signal.SIGSTOP, "tick"),
        lasts_s=0.5,
    )
    yield _fault("kill -9 inference", "kill -9", DIED, inject.send(signal.SIGKILL, "inference"))
    how = "SIGTERM to the process group: a service manager that ends everything"
    yield _fault("SIGTERM to all", how, ENDS, inject.to_group(signal.SIGTERM))
