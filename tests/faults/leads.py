"""What befalls a leader, and what is said of it: like the mishaps, on entry, and mended on exit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from actd.errors import LinkError
from actd.link.messages import State
from actd.mode import Mode
from tests.faults import orders
from tests.faults.arm import Speech
from tests.faults.engine import JOINTS
from tests.faults.injections import Injection
from tests.faults.leader import REACH, Hand
from tests.faults.rig import Rig

_FAR = 0.6
_TELLING = 0.1


def says(speech: Speech) -> Injection:
    """Have the daemon be told something else of the leader."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        rig.arm.leads = speech
        try:
            yield
        finally:
            rig.arm.leads = None

    return inject


def nothing(state: State) -> State:
    """There is no leader any more."""
    return replace(state, leader={})


def renamed(state: State) -> State:
    """Names of another arm."""
    return replace(state, leader={f"left_{name}": value for name, value in state.leader.items()})


def everywhere(value: float) -> Speech:
    """One value for every joint."""
    return lambda state: replace(state, leader=dict.fromkeys(state.leader, value))


def no_number(state: State) -> State:
    """One joint is none."""
    return replace(state, leader={**state.leader, JOINTS[0]: math.nan})


def away(by: float) -> Speech:
    """Every joint so far from where it is, towards the middle."""
    return lambda state: replace(
        state, leader={k: v - math.copysign(by, v) for k, v in state.leader.items()}
    )


@contextmanager
def hangs(rig: Rig) -> Iterator[None]:
    """One place, sent again and again as it was measured once."""
    kept: list[State] = []

    def speech(state: State) -> State:
        kept.append(state)
        return replace(state, leader=kept[0].leader, leader_boot_ns=kept[0].leader_boot_ns)

    with says(speech)(rig):
        yield


@contextmanager
def degrees(rig: Rig) -> Iterator[None]:
    """Other units, of a place where that makes a difference."""
    rig.wait(lambda: abs(rig.arm.position[0]) > _TELLING, "the arm to be far from 0")

    def speech(state: State) -> State:
        return replace(state, leader={k: math.degrees(v) for k, v in state.leader.items()})

    with says(speech)(rig):
        yield


@contextmanager
def moves(rig: Rig) -> Iterator[None]:
    """A hand moves the leader."""
    rig.arm.hand = Hand(rig.arm.position)
    try:
        yield
    finally:
        rig.arm.hand = None


@contextmanager
def too_far(rig: Rig) -> Iterator[None]:
    """The leader is elsewhere, and an operator wants it to lead."""
    rig.arm.hand = Hand(rig.arm.position + _FAR + REACH)
    try:
        time.sleep(0.1)
        orders.refused(rig, "takeover", "the leader is")
        yield
    finally:
        rig.arm.hand = None


@contextmanager
def late(rig: Rig) -> Iterator[None]:
    """The leader is where the arm is, and the order waits."""
    rig.arm.hand = Hand(rig.arm.position)
    try:
        with orders.late("takeover", "old (limit 1000 ms)")(rig):
            yield
    finally:
        rig.arm.hand = None


@contextmanager
def there_and_back(rig: Rig) -> Iterator[None]:
    """The leader takes over from a policy in motion, and gives back."""
    rig.strike()
    _obeyed(rig, "takeover")
    rig.wait_mode(Mode.TAKEOVER)
    time.sleep(0.5)
    _obeyed(rig, "arm")
    rig.wait_mode(Mode.ARMED)
    yield
    rig.arm.hand = None


def _obeyed(rig: Rig, order: str) -> None:
    """Give an order until it is obeyed; before `takeover` the leader is brought to the arm."""

    def given() -> bool:
        if order == "takeover":
            rig.arm.hand = Hand(np.clip(rig.arm.position, -0.5, 0.5))
            time.sleep(0.04)
        try:
            rig.operate(order)
        except LinkError:
            return False
        return True

    rig.wait(given, order)
