"""What befalls the arm, its controller, what they say, and orders: the first part of the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from actd.mode import Mode
from tests.faults import mishaps, orders
from tests.faults.deployment import CONTROLLER_MS, FAULT_AFTER_MS, FOLLOW_MS, FROZEN_MS, STATE_MS
from tests.faults.fault import (
    ARMED,
    FAULT,
    HOLD,
    IDLE,
    RESUMES,
    STOP,
    STOPPED,
    UNDISTURBED,
    Fault,
    faulted,
    held,
    latched,
    unmoved,
)
from tests.faults.injections import Injection
from tests.faults.outcome import Outcome


def _arm() -> Iterator[Fault]:
    def fault(
        name: str, how: str, outcome: Outcome, injection: Injection, lasts_s: float = 0.3
    ) -> Fault:
        return Fault(name, how, ARMED, outcome, injection, lasts_s=lasts_s)

    lost = faulted(1500, "does not follow")
    lost = replace(
        lost,
        promise=f"FAULT {FOLLOW_MS} ms after the arm is too far from its command; it does not jump "
        "back; only an operator re-arms",
    )
    yield fault("collision", "a wall stops one joint where it is", lost, mishaps.collide)
    yield fault(
        "torque lost, the arm falls",
        "servos off, on again after FAULT",
        lost,
        mishaps.lose_torque(falls=True),
        lasts_s=0.5,
    )
    # Where nothing moves at all, that is what is noticed first.
    still = replace(
        lost,
        promise="HOLD or FAULT, and FAULT at last; it does not jump back; only an operator re-arms",
        faulted_ms=1500 + FAULT_AFTER_MS,
        says="does not follow|stand still",
    )
    yield fault(
        "torque lost, the arm stays",
        "servos off, on again after FAULT",
        still,
        mishaps.lose_torque(falls=False),
        lasts_s=0.5,
    )
    yield fault("pulled away by hand", "carried 0.8 rad", lost, mishaps.carry_slowly, lasts_s=0.5)
    for mode in (HOLD, FAULT, STOP):
        yield Fault(
            "moved by hand",
            "torque off, carried 0.8 rad, torque on",
            mode,
            replace(unmoved(mode), promise=f"stays {mode.name}; the arm does not jump back"),
            mishaps.carry,
            lasts_s=0.5,
        )
    again = replace(
        faulted(1200, "controller was restarted|two programs send"),
        promise="HOLD while it is gone, then FAULT; no jump of the arm; only an operator re-arms",
        held_ms=STATE_MS,
    )
    for pause_s, elsewhere, how in (
        (0.1, False, "another source after 0.1 s, same place"),
        (1.2, False, "another source after 1.2 s, same place"),
        (1.2, True, "another source after 1.2 s, 0.8 rad away"),
    ):
        place = "elsewhere" if elsewhere else f"within {pause_s:g} s"
        name = f"controller restarts {place}"
        yield fault(name, how, again, mishaps.restart(pause_s, elsewhere=elsewhere), lasts_s=0.5)
    yield Fault(
        "controller restarts elsewhere",
        "another source after 1.2 s, 0.8 rad away",
        STOP,
        replace(unmoved(STOP), promise="stays STOP; the arm does not jump"),
        mishaps.restart(1.2, elsewhere=True),
        lasts_s=0.5,
    )
    gone = latched(STATE_MS, "robot state is|acknowledged")
    yield fault("controller ends", "a mere listener stays on the actions", gone, mishaps.leave)
    short = held(STATE_MS, gone.says)
    yield fault("controller hangs", "open sockets", short, mishaps.hang, lasts_s=1.0)
    yield fault(
        "nobody acts on the commands",
        "state without acknowledgement, a mere listener on the actions",
        held(CONTROLLER_MS, "acknowledged"),
        mishaps.says(mishaps.not_acting),
        lasts_s=1.0,
    )
    yield Fault(
        "nobody acts on the commands",
        "as before, and an operator arms",
        IDLE,
        replace(unmoved(IDLE), promise="`arm` is refused"),
        mishaps.only_listened_to,
    )
    yield fault(
        "moved by hand while no tick runs",
        "SIGSTOP tick for 1 s, carried 0.8 rad meanwhile",
        replace(RESUMES, promise="goes on only from where the arm is now, or HOLD; no jump"),
        mishaps.moved_meanwhile,
        lasts_s=1.0,
    )
    yield fault(
        "controller ends while no tick runs",
        "SIGSTOP tick for 1 s; its last messages are still in the socket",
        replace(
            latched(1000, "no command was sent for"),
            promise="what waited is not taken for new: HOLD, then FAULT",
        ),
        mishaps.gone_meanwhile,
    )
    two = faulted(0, "two programs send")
    yield fault("second sender of the state", "another place, 100 Hz", two, mishaps.rival)
    yield Fault(
        "the arm is far from the policy's first action",
        "0.95 rad, and an operator arms",
        IDLE,
        replace(unmoved(IDLE), promise="`arm` is refused"),
        mishaps.far_from_the_plan,
    )
    yield fault(
        "gripper on an object",
        "it cannot close; stop, reset, arm",
        replace(UNDISTURBED, promise="no fault, and the gripper goes on pressing when armed again"),
        mishaps.grip,
    )


def _state() -> Iterator[Fault]:
    rejected = held(STATE_MS, "messages refused")
    for name, how, injection, outcome in (
        ("joints of other names", "left_j0 ...", mishaps.says(mishaps.renamed), rejected),
        ("state of another robot", "its name", mishaps.says(mishaps.another_robot), rejected),
        ("degrees for radians", "times 57.3", mishaps.degrees, rejected),
        ("state of 1e6", "every joint", mishaps.says(mishaps.everywhere(1e6)), rejected),
        (
            "state that is none",
            "in turn NaN, words, one joint, 1e300, no msgpack",
            mishaps.says(mishaps.no_state),
            held(STATE_MS, "messages refused|robot state is"),
        ),
        ("old state repeated", "the same message", mishaps.old_news, held(STATE_MS, "robot state")),
        ("state late", "600 ms", mishaps.late(0.6), held(STATE_MS, "robot state is")),
    ):
        yield Fault(name, how, ARMED, outcome, injection, lasts_s=STATE_MS / 1e3 + 0.6)
    yield Fault(
        "state frozen",
        "the same place, freshly stamped",
        ARMED,
        replace(
            latched(FROZEN_MS + 200, "stand still|does not follow"),
            promise=f"HOLD within {FROZEN_MS} ms of motion, then FAULT, only an operator re-arms",
        ),
        mishaps.frozen_place,
    )
    slow = replace(UNDISTURBED, promise="motion goes on: that is young enough")
    yield Fault(
        "state slow", "100 ms late, and so stamped", ARMED, slow, mishaps.late(0.1), lasts_s=2
    )
    yield Fault(
        "controller on another computer",
        "a clock one hour behind that gains 500 ppm",
        ARMED,
        UNDISTURBED,
        mishaps.other_clock,
        lasts_s=2,
    )


def _orders() -> Iterator[Fault]:
    rejected = {mode: replace(unmoved(mode), promise="rejected") for mode in Mode}
    arm_late = orders.late("arm", "old (limit 1000 ms)")
    for mode in (IDLE, HOLD):
        yield Fault(
            "arm, delivered late",
            "sent in time, the tick process stopped for 1.3 s",
            mode,
            rejected[mode],
            arm_late,
        )
    yield Fault(
        "stop, delivered late",
        "sent in time, the tick process stopped for 1.3 s",
        ARMED,
        replace(STOPPED, promise="obeyed, whenever it comes"),
        orders.late("stop"),
    )
    other = {"robot": "another-arm"}
    yield Fault(
        "arm for another robot",
        "its name in the order",
        IDLE,
        rejected[IDLE],
        orders.rejected("the order is for another-arm", "arm", **other),
    )
    yield Fault(
        "arm without a stamp",
        "a bare order, as a script may send it",
        IDLE,
        rejected[IDLE],
        orders.rejected("stamp_ns of an answer", "arm", stamp_ns=None),
    )
    yield Fault(
        "stop for another robot",
        "its name in the order",
        ARMED,
        replace(UNDISTURBED, promise="refused, motion goes on"),
        orders.rejected("the order is for another-arm", "stop", **other),
    )


def arm_faults() -> Iterator[Fault]:
    """All of them."""
    yield from _arm()
    yield from _state()
    yield from _orders()
