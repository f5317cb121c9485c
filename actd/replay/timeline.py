"""What happened in a run, as sentences: operators' commands, mode changes, faults, gaps.

Takes tick records (actd.runtime.channels.tick_dtype), oldest first. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.control.limits import Flag
from actd.control.state import Event
from actd.mode import Mode

# Why motion may stop by itself, most specific first.
_CAUSES: Mapping[Flag, str] = {
    Flag.NON_FINITE: "the policy gave a number that is not finite",
    Flag.FOLLOWING: "the arm did not follow its commands",
    Flag.SILENCE: "no command was sent for longer than a command is valid",
    Flag.LEADER_LOST: "the leader was stale or jumped",
    Flag.CONTROLLER_LOST: "the robot acknowledged no action",
    Flag.STATE_STALE: "the robot's state was stale",
    Flag.CAMERA_FROZEN: "a camera showed the same image for too long",
    Flag.CAMERA_STALE: "a camera was stale",
    Flag.UNDERRUN: "chunks ran out",
}


class Moment(NamedTuple):
    """Something that happened at `due_ns`."""

    due_ns: int
    text: str


def moments(ticks: NDArray[Any], events: Sequence[Event | None]) -> list[Moment]:
    """All moments in order. `events` names the numbers in `ticks["events"]`."""
    mode_changes = np.flatnonzero(np.diff(ticks["mode"])) + 1
    holes = np.flatnonzero(np.diff(ticks["seq"]) != 1) + 1
    commanded = np.flatnonzero(ticks["events"].any(axis=1))
    entries = [
        Moment(int(ticks["due_ns"][0]), f"recording begins in {Mode(ticks['mode'][0]).name}")
    ]
    for index in np.unique(np.concatenate([mode_changes, holes, commanded])).tolist():
        tick, before = ticks[index], ticks[max(0, index - 1)]
        due_ns, missing = int(tick["due_ns"]), int(tick["seq"] - before["seq"]) - 1
        if missing > 0:
            entries.append(Moment(due_ns, f"{missing} ticks before this were not recorded"))
        if tick["mode"] != before["mode"] or tick["events"].any():
            entries.append(Moment(due_ns, _sentence(tick, before, events)))
    return entries


def _command(event: Event | None, number: int) -> str:
    if event is None or event is Event.FAULT:
        return "daemon: a process ended"
    return f"{'operator' if number else 'daemon'}: {event.value}"


def _sentence(tick: Any, last: Any, events: Sequence[Event | None]) -> str:
    before, after = Mode(last["mode"]), Mode(tick["mode"])
    commands = [
        _command(events[event], number)
        for event, number in zip(tick["events"].tolist(), tick["commands"].tolist(), strict=True)
        if event
    ]
    change = f"{before.name} → {after.name}" if after is not before else ""
    if commands:
        return f"{', '.join(commands)} ({change or f'stays {after.name}'})"
    if after is Mode.ARMED:
        arrived = before is Mode.MOVING
        return f"{change}: " + ("it has arrived" if arrived else "all inputs are fresh again")
    # At the tick that faults the gap is over; its cause is in the flags of the tick before.
    flags = int(tick["flags"] | last["flags"])
    cause = next((words for flag, words in _CAUSES.items() if flags & flag), "")
    replacement = _replacement(tick, last) if after is Mode.FAULT else ""
    if replacement or (after is Mode.FAULT and flags & Flag.FOLLOWING):
        return f"{change}: {replacement or _CAUSES[Flag.FOLLOWING]}"
    if after is Mode.FAULT and before is Mode.HOLD:
        cause = f"the gap lasted too long ({cause})" if cause else "the gap lasted too long"
    if before is Mode.MOVING and last["move_share"] == 1.0:
        cause = cause or "it has arrived"
    return f"{change}: {cause}" if cause else change


def _replacement(tick: Any, last: Any) -> str:
    """What has been replaced since motion was allowed, empty if nothing."""
    if tick["rivals"]:
        return "two programs sent the robot's state"
    if tick["source"] != last["source"]:
        return "the robot's controller was restarted"
    return "a camera was reopened" if tick["openings"] != last["openings"] else ""
