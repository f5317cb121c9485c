"""The loop between the bus and the daemon: command, read, report, in one thread.

A cycle begins when the daemon's next action arrives, so that each is written once and at once; a
bus that is slower takes the newest, and without the daemon the loop keeps its rate by itself. A
driver's exception costs a cycle: what was not written is not acknowledged, what was not read is not
sent, and the daemon holds. Raises ArmError or LinkError when that lasts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actd.client import Action, Mode, Robot
from actd.drive.arm import Arm, words
from actd.drive.cycle_times import CycleTimes
from actd.errors import SEPARATOR, ArmError, LinkError
from actd.link.age import boottime_ns

if TYPE_CHECKING:
    from actd.drive.leader import LeaderLoop

_REPORT_NS = 60_000_000_000
_FIRST_REPORT_NS = 3_000_000_000
_REASON_NS = 1_000_000_000
_COMPLAINT_NS = 10_000_000_000
_SLOW = 0.9

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """`joints` are commanded, `state` is measured, by name; `speeds` are those joints whose command
    is a speed, which rests at 0. `boot` is the run of the daemon that expects all this.
    `patience_ns`: how long daemon or bus may be silent.
    """

    joints: tuple[str, ...]
    state: tuple[str, ...]
    speeds: frozenset[str]
    period_ns: int
    boot: str
    patience_ns: int


class BusLoop:
    """Drives one arm. `cycle` again and again, then `stand`.

    restarted: called when another run of the daemon sends; raises where that does not fit.
    """

    def __init__(
        self,
        arm: Arm,
        link: Robot,
        settings: LoopSettings,
        say: Say,
        restarted: Callable[[], None],
        *,
        leader: LeaderLoop | None = None,
    ) -> None:
        self._arm = arm
        self._link = link
        self._settings = settings
        self._say = say
        self._restarted = restarted
        self._leader = leader
        self.times = CycleTimes(settings.period_ns)
        self.failures = 0
        """Cycles that a driver's exception or a reading that is no number has cost."""
        self._failing_since_ns: int | None = None
        self._complained_ns = -_COMPLAINT_NS
        self._unwritten = ""
        self._commanded: dict[str, float] = {}
        self._turning = False  # until a command of speed 0 went through
        self._unanswered_ns: int | None = None
        self._newest = (settings.boot, 0)
        self._heard_ns = time.monotonic_ns()
        self._report_due_ns = self._heard_ns + _FIRST_REPORT_NS
        self._overdue = True
        self._told: tuple[Mode | None, str] = (None, "")
        self._told_ns = 0

    def cycle(self) -> Action | None:
        """Wait for an action, do it, read, report. Returns what was done; None: nothing valid."""
        period_s = self._settings.period_ns / 1e9
        # Twice the period, or an action that is a little late would find the bus reading.
        action = self._link.receive(period_s if self._overdue else 2 * period_s)
        now_ns = time.monotonic_ns()
        self.times.begin(now_ns)
        self._hear(action, now_ns)
        problems = [problem for problem in (self._write(action), self._read(action)) if problem]
        self._judge(problems, now_ns)
        self._report(now_ns)
        return action

    def stand(self) -> bool:
        """Command every speed to 0, whatever the mode. Returns whether there was one that is not.

        Raises what the driver raises.
        """
        if not self._turning:
            return False
        self._command(self._commanded | dict.fromkeys(self._settings.speeds, 0.0))
        return True

    def _command(self, targets: dict[str, float]) -> None:
        # Before it is sent: what failed half-way may move all the same.
        turns = any(targets[joint] for joint in self._settings.speeds)
        self._commanded, self._turning = targets, self._turning or turns
        self._arm.command(targets)
        self._turning = turns

    def _hear(self, action: Action | None, now_ns: int) -> None:
        """Who sends, and what of that is for people."""
        if action is None:  # and the gentle stop is over
            self._overdue = True
            self._lose_patience(now_ns)
            return
        key = (action.boot, action.seq)
        self._overdue = action.expired or key == self._newest
        if self._overdue:
            return
        if action.boot != self._newest[0]:
            self._say("daemon: started again")
            self._restarted()
        self._newest, self._heard_ns = key, now_ns
        mode, reason = self._told
        changed = action.reason != reason and now_ns - self._told_ns > _REASON_NS
        if action.mode is not mode or changed:
            self._told, self._told_ns = (action.mode, action.reason), now_ns
            self._say(": ".join(filter(None, (action.mode.name, action.reason))))

    def _lose_patience(self, now_ns: int) -> None:
        if now_ns - self._heard_ns <= self._settings.patience_ns:
            return
        why = self._link.last_rejection or "it ended, or the network did"
        raise LinkError(
            f"no action for {(now_ns - self._heard_ns) / 1e9:.1f} s: {why}; start the daemon, then "
            "actd drive again"
        )

    def _write(self, action: Action | None) -> str:
        """Do what is commanded. Returns what went wrong, "" where nothing did.

        A command that failed stays wrong until one succeeds: a daemon that hears no acknowledgement
        commands nothing more, and that proves nothing.
        """
        started_ns = time.monotonic_ns()
        try:
            if action is not None and action.moves:
                self._command({j: action.action[j] for j in self._settings.joints})
            elif not self.stand():
                return self._unwritten
        except Exception as error:  # noqa: BLE001  a driver may raise anything
            self._unwritten = f"command: {words(error)}"
            return self._unwritten
        self.times.wrote(time.monotonic_ns() - started_ns)
        self._unwritten = ""
        return ""

    def _read(self, action: Action | None) -> str:
        """Measure, and tell the daemon. Returns what went wrong, "" where nothing did."""
        started_ns, measured_ns = time.monotonic_ns(), boottime_ns()
        try:
            reading = self._arm.read()
            state = {name: float(reading[name]) for name in self._settings.state}
        except Exception as error:  # noqa: BLE001  a driver may raise anything
            self._unanswered_ns = measured_ns
            return f"read: {words(error)}"
        # What came may be the late answer to the reading that failed.
        measured_ns, self._unanswered_ns = self._unanswered_ns or measured_ns, None
        self.times.read(time.monotonic_ns() - started_ns)
        for name, value in state.items():
            if not math.isfinite(value):
                return f"read: {name} is {value}"
        mode = None if action is None else action.mode
        leader = None if self._leader is None else self._leader.exchange(state, mode)
        acting = not self._unwritten
        self._link.send_state(state, measured_ns=measured_ns, acting=acting, leader=leader)
        return ""

    def _judge(self, problems: list[str], now_ns: int) -> None:
        """Say when cycles begin and cease to fail, now and then. Raises ArmError when they fail
        for too long.
        """
        since_ns = self._failing_since_ns
        if not problems:
            if since_ns is not None and since_ns == self._complained_ns:
                self._say(f"bus: works again after {(now_ns - since_ns) / 1e6:.0f} ms")
            self._failing_since_ns = None
            return
        self.failures += 1
        if since_ns is None:
            self._failing_since_ns = now_ns
            if now_ns - self._complained_ns > _COMPLAINT_NS:
                self._complained_ns = now_ns
                self._say(f"bus: {SEPARATOR.join(problems)}")
        elif now_ns - since_ns > self._settings.patience_ns:
            raise ArmError(
                f"bus: {SEPARATOR.join(problems)}, for {(now_ns - since_ns) / 1e9:.1f} s; check "
                "power and cable, then actd drive again"
            )

    def _report(self, now_ns: int) -> None:
        if now_ns < self._report_due_ns:
            return
        self._report_due_ns = now_ns + _REPORT_NS
        slow = self.times.recent_hz < _SLOW * 1e9 / self._settings.period_ns
        note = "; the bus is slower than the daemon, it takes the newest action" if slow else ""
        self._say(f"bus: {self.times.line()}{note}")
