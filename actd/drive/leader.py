"""The leader arm beside the driven one: read in a thread of its own, so that nothing that befalls
it keeps the bus waiting, and brought to where the arm is until an operator leads with it.

A reading that fails, or is not a finite number, is not sent: the leader grows old, and the daemon
ends a takeover. A leader that fails never ends `actd drive`: the arm is not driven by it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from actd.client import Mode
from actd.drive.arm import Joints, words
from actd.drive.bus_loop import Say
from actd.errors import ArmError
from actd.link.age import boottime_ns

# How long a leader with motors takes to where the arm is: a hand may be on it.
_FADE_NS = 2_000_000_000
_COMPLAINT_NS = 10_000_000_000
_CLOSE_S = 2.0  # less than what `Ending` gives to a way out that hangs
_PAUSE_S = 0.001  # also after a reading that took too long: the arm's bus comes first
# Here the policy or the daemon moves the arm, or holds it: the leader goes along.
_FOLLOWS = frozenset({Mode.ARMED, Mode.MOVING, Mode.HOLD})

Reading = tuple[Mapping[str, float], int]
"""Joint -> value, and when that was measured, on CLOCK_BOOTTIME in ns."""


class Leader(Protocol):
    """A leader's driver. Every method may raise anything; one thread calls them all.

    One with motors has two methods more: `follow(targets)`, go there, and `release()`, let a hand
    move it.
    """

    def connect(self) -> object:
        """Open the bus."""
        ...

    def read(self) -> Mapping[str, float]:
        """Where it is: joint -> value, in the robot's joints and units."""
        ...

    def close(self) -> object:
        """Close the bus."""
        ...


class LeaderLoop:
    """Reads one leader again and again. `connect`, then `exchange` in every cycle, then `close`.

    follows: whether one with motors is brought to the arm.
    """

    def __init__(self, leader: Leader, say: Say, *, follows: bool) -> None:
        self._leader = leader
        self._say = say
        self._follow: Callable[[Mapping[str, float]], object] | None = None
        self._release: Callable[[], object] | None = None
        if follows:
            self._follow = getattr(leader, "follow", None)
            self._release = getattr(leader, "release", None)
        self.joints: Joints | None = getattr(leader, "joints", None)
        """What it says of its joints, None before it is connected where it says nothing."""
        self._period_s = 0.0
        self._newest: Reading | None = None
        self._arm: tuple[Mapping[str, float], Mode | None] = ({}, None)
        self._began: tuple[Mapping[str, float], int] | None = (
            None  # to follow: from where, and when
        )
        self._failing = False
        self._complained_ns = -_COMPLAINT_NS
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True, name="leader")

    def connect(self) -> None:
        """Open its bus. Raises what the driver raises, and ArmError where it cannot be read."""
        self._leader.connect()
        if self.joints is None:
            try:
                self.joints = Joints(measured=tuple(map(str, self._leader.read())))
            except Exception as error:  # noqa: BLE001  a driver may raise anything
                raise ArmError(f"leader: read: {words(error)}; return {{joint: value}}") from None

    def begin(self, period_ns: int) -> None:
        """Read it from now on, once in so long."""
        self._period_s = period_ns / 1e9
        self._thread.start()

    def exchange(self, arm: Mapping[str, float], mode: Mode | None) -> Reading | None:
        """Where the leader was last, None before it was read. `arm`: where the arm is, and in which
        mode it is driven, None: in none.
        """
        self._arm = (arm, mode)
        return self._newest

    def close(self) -> None:
        """Close its bus, or leave it where its driver does not return. Safe to call twice."""
        self._over.set()
        if not self._thread.is_alive():
            self._leader.close()
            return
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            raise TimeoutError(f"its driver did not return within {_CLOSE_S:g} s")

    def _live(self) -> None:
        wait_s = 0.0
        while not self._over.wait(wait_s):
            began_ns = time.monotonic_ns()
            self._judge(self._cycle(), began_ns)
            wait_s = max(_PAUSE_S, self._period_s - (time.monotonic_ns() - began_ns) / 1e9)
        try:
            self._leader.close()
        except Exception as error:  # noqa: BLE001  a driver may raise anything
            self._say(f"leader: close: {words(error)}")

    def _cycle(self) -> str:
        """Read it, and lead it. Returns what went wrong, "" where nothing did."""
        measured_ns = boottime_ns()
        try:
            reading = self._leader.read()
            joints = self.joints.measured if self.joints is not None else ()
            place = {joint: float(reading[joint]) for joint in joints}
        except Exception as error:  # noqa: BLE001  a driver may raise anything
            return f"read: {words(error)}"
        for joint, value in place.items():
            if not math.isfinite(value):
                return f"read: {joint} is {value}"
        self._newest = (place, measured_ns)
        try:
            self._guide(place)
        except Exception as error:  # noqa: BLE001  a driver may raise anything
            return f"follow: {words(error)}"
        return ""

    def _guide(self, place: Mapping[str, float]) -> None:
        """Bring it to where the arm is, or let go of it."""
        arm, mode = self._arm
        if self._follow is None or self._release is None:
            return
        if mode in _FOLLOWS:
            now_ns = time.monotonic_ns()
            began, since_ns = self._began = self._began or (place, now_ns)
            self._follow(faded(began, arm, (now_ns - since_ns) / _FADE_NS))
        elif self._began is not None:
            self._release()
            self._began = None

    def _judge(self, problem: str, now_ns: int) -> None:
        """Say when it begins and ceases to fail, now and then."""
        if not problem:
            if self._failing:
                self._say("leader: works again")
            self._failing = False
        elif not self._failing and now_ns - self._complained_ns > _COMPLAINT_NS:
            self._failing, self._complained_ns = True, now_ns
            self._say(
                f"leader: {problem}; it takes over nothing until it works again: check its cable, "
                "then actd drive again"
            )


def faded(begin: Mapping[str, float], end: Mapping[str, float], share: float) -> dict[str, float]:
    """Of every joint of `begin`, the place between the two at a share of the time, with no step in
    speed.
    """
    x = min(1.0, max(0.0, share))
    x = x * x * (3.0 - 2.0 * x)
    return {joint: value + x * (end[joint] - value) for joint, value in begin.items()}
