"""What befalls the arm, and what it is made to say of itself.

Like the injections: each breaks something on entry and mends it on exit.
"""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np

from actd.arrays import Vector
from actd.errors import LinkError
from actd.link.messages import State
from actd.mode import Mode
from tests.faults.arm import Speech
from tests.faults.body import END, Body
from tests.faults.engine import GRIPPER, JOINTS
from tests.faults.injections import Injection, send
from tests.faults.rig import Rig

_FAR = 0.8
_TELLING = 0.1
_CARRIED_S = 0.8
_HOUR_NS = 3600 * 10**9
_DRIFT = 500e-6


def _elsewhere(position: Vector) -> Vector:
    """Somewhere far from there, within the limits."""
    return np.where(position > 0, position - _FAR, position + _FAR)


# --- the body


@contextmanager
def collide(rig: Rig) -> Iterator[None]:
    """A wall on both sides of the joint that moves most; the others are free."""

    def wall(body: Body) -> None:
        body.lower[0] = body.upper[0] = body.position[0]

    def away(body: Body) -> None:
        body.lower[0], body.upper[0] = -END, END

    rig.arm.do(wall)
    try:
        yield
    finally:
        rig.arm.do(away)


def lose_torque(*, falls: bool) -> Injection:
    """Servos off until the end; a hand does not hold what falls."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        rig.arm.body.falls = falls
        rig.arm.do(lambda body: body.torque(False))
        try:
            yield
        finally:
            rig.arm.do(lambda body: body.torque(True))

    return inject


@contextmanager
def carry(rig: Rig) -> Iterator[None]:
    """Servos off, a hand takes the arm elsewhere, servos on."""
    rig.strike()
    rig.arm.do(lambda body: body.torque(False))
    rig.arm.do(lambda body: body.carry(_elsewhere(body.position)))
    time.sleep(_CARRIED_S)
    rig.arm.do(lambda body: body.carry(None))
    rig.arm.do(lambda body: body.torque(True))
    yield


@contextmanager
def carry_slowly(rig: Rig) -> Iterator[None]:
    """A hand takes the driven arm away against its servos, and lets go at the end."""
    rig.arm.do(lambda body: body.carry(_elsewhere(body.position)))
    try:
        yield
    finally:
        rig.arm.do(lambda body: body.carry(None))


@contextmanager
def far_from_the_plan(rig: Rig) -> Iterator[None]:
    """The arm is where no chunk begins, and an operator arms."""
    rig.arm.do(lambda body: body.place(np.full(len(JOINTS), 0.95)))
    time.sleep(0.3)
    _arming_fails(rig, "the policy's first command is")
    yield


@contextmanager
def grip(rig: Rig) -> Iterator[None]:
    """The gripper holds an object; an operator stops, resets and arms."""
    rig.strike()
    last = JOINTS.index(GRIPPER)

    def close(body: Body) -> None:
        body.lower[last] = body.upper[last] = body.position[last]

    def open_(body: Body) -> None:
        body.lower[last], body.upper[last] = -END, END

    rig.arm.do(close)
    held = float(rig.arm.position[last])
    try:
        rig.wait(lambda: abs(_gripper(rig) - held) > 0.05, "the gripper to press")
        rig.operate("stop")
        rig.wait_mode(Mode.STOP)
        rig.wait(rig.at_rest, "the arm to rest")
        pressed = _gripper(rig)
        rig.operate("reset")
        rig.wait_mode(Mode.IDLE)
        rig.arm.do(lambda body: body.place(_but(0 * body.position, last, body.position[last])))
        begun = len(rig.arm.log)
        rig.bring(Mode.ARMED)
        commands = [a.action[GRIPPER] for _, a in rig.arm.log[begun:] if a.action]
        rig.notes.append(
            f"the gripper is {abs(pressed - held):.3f} from its command when stopped, "
            f"{abs(commands[0] - held):.3f} when armed again"
        )
        if abs(commands[0] - pressed) > 0.01:
            raise AssertionError(f"the gripper lets go: {pressed:.3f}, then {commands[0]:.3f}")
        yield
    finally:
        rig.arm.do(open_)


def _gripper(rig: Rig) -> float:
    return rig.arm.log[-1].action.action[GRIPPER]


def _but(values: Vector, place: int, value: float) -> Vector:
    values[place] = value
    return values


# --- the controller


def restart(pause_s: float, *, elsewhere: bool) -> Injection:
    """The controller's program ends, and another one begins a while later."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        rig.strike()
        rig.arm.leave()
        if elsewhere:
            rig.arm.do(lambda body: body.carry(_elsewhere(body.position)))
        time.sleep(pause_s)
        if elsewhere:
            rig.arm.do(lambda body: body.carry(None))
        rig.arm.begin()
        yield

    return inject


@contextmanager
def moved_meanwhile(rig: Rig) -> Iterator[None]:
    """No tick until the end, and a hand takes the arm elsewhere."""
    with send(signal.SIGSTOP, "tick")(rig), carry_slowly(rig):
        yield


@contextmanager
def gone_meanwhile(rig: Rig) -> Iterator[None]:
    """No tick for a second, and what the controller said last still waits in the socket."""
    rig.strike()
    with ExitStack() as stack:
        with send(signal.SIGSTOP, "tick")(rig):
            stack.enter_context(leave(rig))
            time.sleep(1.0)
        yield


@contextmanager
def leave(rig: Rig) -> Iterator[None]:
    """The controller's program ends; a mere listener stays."""
    rig.arm.leave()
    try:
        yield
    finally:
        rig.arm.begin()


@contextmanager
def hang(rig: Rig) -> Iterator[None]:
    """The controller does nothing any more, with open sockets."""
    rig.arm.hangs = True
    try:
        yield
    finally:
        rig.arm.hangs = False


@contextmanager
def rival(rig: Rig) -> Iterator[None]:
    """A second program sends the robot's state."""
    with rig.rival(_elsewhere(rig.arm.position)):
        yield


# --- what the robot says


def says(speech: Speech) -> Injection:
    """Have the daemon be told something else."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        rig.arm.speech = speech
        try:
            yield
        finally:
            rig.arm.speech = None

    return inject


@contextmanager
def old_news(rig: Rig) -> Iterator[None]:
    """One state, sent again and again."""
    kept: list[State] = []

    def speech(state: State) -> State:
        kept.append(state)
        return kept[0]

    with says(speech)(rig):
        yield


@contextmanager
def frozen_place(rig: Rig) -> Iterator[None]:
    """The same place for ever, freshly stamped."""
    kept: list[State] = []

    def speech(state: State) -> State:
        kept.append(state)
        return replace(state, state=kept[0].state)

    with says(speech)(rig):
        yield


def late(by_s: float) -> Injection:
    """Every state waits for so long before it is sent."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        waiting: deque[State] = deque()

        def speech(state: State) -> State | None:
            waiting.append(state)
            due = None
            while waiting and waiting[0].t_boot_ns <= state.t_boot_ns - by_s * 1e9:
                due = waiting.popleft()
            return due

        with says(speech)(rig):
            yield

    return inject


@contextmanager
def other_clock(rig: Rig) -> Iterator[None]:
    """The controller runs on another computer, whose clock is an hour off and drifts."""
    begun: list[int] = []

    def speech(state: State) -> State:
        begun.append(state.t_boot_ns)
        drifted_ns = round(_DRIFT * (state.t_boot_ns - begun[0]))
        return replace(state, clock="another", t_boot_ns=state.t_boot_ns - _HOUR_NS + drifted_ns)

    with says(speech)(rig):
        yield


@contextmanager
def degrees(rig: Rig) -> Iterator[None]:
    """Other units, of a place where that makes a difference."""

    def speech(state: State) -> State:
        return replace(state, state={k: math.degrees(v) for k, v in state.state.items()})

    rig.wait(lambda: rig.arm.position[0] > _TELLING and rig.rising(), "the arm to be far from 0")
    with says(speech)(rig):
        yield


def everywhere(value: float) -> Speech:
    """One value for every joint."""
    return lambda state: replace(state, state=dict.fromkeys(state.state, value))


def renamed(state: State) -> State:
    """Names of another arm."""
    return replace(state, state={f"left_{name}": value for name, value in state.state.items()})


def another_robot(state: State) -> State:
    """The state of another robot."""
    return replace(state, robot="another-arm")


def not_acting(state: State) -> State:
    """Measured by somebody who follows no command."""
    return replace(state, ack_boot="", ack_seq=0)


def no_state(state: State) -> bytes:
    """In turn: not a number, words, one joint only, a number beyond all, and no msgpack."""
    body: dict[str, Any] = {"v": 1, **{name: getattr(state, name) for name in _FIELDS}}
    positions = dict(state.state)
    wrong = (
        {**positions, "j0": float("nan")},
        {**positions, "j0": "up"},
        {"j0": 0.0},
        {**positions, "j0": 1e300},
    )
    turn = state.seq % (len(wrong) + 1)
    if turn == len(wrong):
        return b"\xc1"
    packed: bytes = msgpack.packb({**body, "state": wrong[turn]})
    return packed


_FIELDS = ("robot", "source", "clock", "seq", "t", "t_boot_ns", "ack_boot", "ack_seq")


@contextmanager
def only_listened_to(rig: Rig) -> Iterator[None]:
    """Somebody listens, and somebody sends the state, but nobody acts; an operator arms."""
    with says(not_acting)(rig):
        time.sleep(0.6)
        _arming_fails(rig, "acknowledge")
        yield


def _arming_fails(rig: Rig, words: str) -> None:
    try:
        rig.operate("arm")
    except LinkError as error:
        if words not in str(error):
            raise AssertionError(f"refused, but not with {words!r}: {error}") from None
        rig.notes.append(f"`{str(error)[:160]}`")
    else:
        raise AssertionError("`arm` was obeyed")


@contextmanager
def no_plan(rig: Rig) -> Iterator[None]:
    """Images that do not fit together; an operator arms."""
    rig.wait(lambda: "waiting" in _inference(rig), "inference to say what it waits for")
    time.sleep(1)
    rig.notes.append(f"inference {_inference(rig)}")
    _arming_fails(rig, "the chunk")
    yield


def _inference(rig: Rig) -> str:
    status = rig.status()
    return str(status["inference"]["state"]) if status else ""
