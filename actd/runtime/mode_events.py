"""Which event a change of the mode is: what ended motion, told by the ticks' records.

Pure. A tick's reason, in words, comes through another ring just after its record, so a tick is
judged when the next ones are taken in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from actd.control.limits import Flag
from actd.control.state import PARKED
from actd.control.state import Event as ControlEvent
from actd.mode import Mode
from actd.runtime import events
from actd.runtime.channels import EVENTS
from actd.runtime.events import Event

_FAULT = EVENTS.index(ControlEvent.FAULT)
_BY_FLAG = (
    (Flag.NON_FINITE, events.ACTION_NOT_FINITE),
    (Flag.SILENCE, events.TICK_SILENT),
    (Flag.FOLLOWING, events.ARM_NOT_FOLLOWING),
)
_BY_STREAM = (
    (Flag.STATE_STALE, events.STATE_STALE),
    (Flag.CONTROLLER_LOST, events.CONTROLLER_LOST),
    (Flag.CAMERA_STALE, events.CAMERA_STALE),
    (Flag.CAMERA_FROZEN, events.CAMERA_FROZEN),
    (Flag.LEADER_LOST, events.LEADER_LOST),
)


class ModeEvent(NamedTuple):
    """At `tick` the mode, or its reason in words, became another one."""

    event: Event
    tick: int
    mode: Mode
    reason: str


class ModeEvents:
    """Fed with everything the tick process has written, in order."""

    def __init__(self) -> None:
        self._held: list[tuple[int, Any]] = []
        self._reasons: dict[int, str] = {}
        self._before: Any = None
        self._mode = Mode.IDLE
        self._gap = events.CHUNK_LATE

    def take(
        self, ticks: Iterable[tuple[int, Any]], reasons: Mapping[int, str]
    ) -> Iterator[ModeEvent]:
        """The changes at `ticks` but the last, which is kept for the next call.

        `ticks` are numbered `tick_dtype` records, `reasons` by the `sent_ns` of their tick.
        """
        ready = [*self._held, *ticks]
        self._held = ready[-1:]
        self._reasons |= reasons
        for number, tick in ready[:-1]:
            mode, reason = Mode(int(tick["mode"])), self._reasons.pop(int(tick["sent_ns"]), None)
            if mode is not self._mode or reason:
                yield ModeEvent(self._judge(tick, mode, reason or ""), number, mode, reason or "")
            self._mode, self._before = mode, tick
        if ready:
            newest_ns = int(ready[-1][1]["sent_ns"])
            self._reasons = {t: text for t, text in self._reasons.items() if t >= newest_ns}

    def _judge(self, tick: Any, mode: Mode, reason: str) -> Event:
        """What led to this mode at this tick."""
        flags = int(tick["flags"])
        if mode is Mode.FAULT:
            return self._fault(tick, flags)
        commanded = any(tick["events"])
        if mode is Mode.ARMED and self._mode is Mode.HOLD and not commanded:
            return events.GAP_OVER
        if mode is not Mode.HOLD or commanded or reason == PARKED:
            return events.MODE_CHANGED
        if self._mode in (Mode.MOVING, Mode.TAKEOVER):
            return _first(_BY_STREAM, flags) or events.MOVE_INTERRUPTED
        self._gap = _first((*_BY_FLAG, *_BY_STREAM), flags) or events.CHUNK_LATE
        return self._gap

    def _fault(self, tick: Any, flags: int) -> Event:
        if _FAULT in tick["events"]:
            return events.PROCESS_DIED
        if tick["rivals"]:
            return events.RIVAL_CONTROLLER
        if self._before is not None:
            if tick["source"] != self._before["source"]:
                return events.CONTROLLER_REPLACED
            if tick["openings"] != self._before["openings"]:
                return events.CAMERA_REOPENED
        # Gaps that came again and again may be over at the moment.
        return _first((*_BY_FLAG, *_BY_STREAM), flags) or self._gap


def _first(table: tuple[tuple[Flag, Event], ...], flags: int) -> Event | None:
    return next((event for flag, event in table if flags & flag), None)
