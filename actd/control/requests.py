"""Whether an operator's order may be obeyed: now, and by this robot, or never.

Pure. An order that waited (in a socket, behind a stopped process) was given for a situation
that is over, and the operator has long been told that it failed. So whoever arms, moves or resets
quotes a time stamp that this daemon gave a moment ago, and names the robot that is meant. What
ends motion is obeyed whenever it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actd.control.state import Event

_BEGINS_MOTION = (Event.ARM, Event.RESET, Event.PARK, Event.APPROACH, Event.TAKEOVER)
ORDERS = {event.value: event for event in (*_BEGINS_MOTION, Event.HOLD, Event.STOP)}
VALID_NS = 1_000_000_000
"""How long after its time stamp an order may arrive."""


def rejection(event: Event, request: Mapping[str, Any], robot: str, now_ns: int) -> str:
    """Why an order is not obeyed, "" if it may be. `now_ns`: the clock that stamps answers."""
    named = request.get("robot")
    if named is not None and named != robot:
        return (
            f"this is robot {robot}, the order is for {named!s:.64}; check --config and the ports"
        )
    if event not in _BEGINS_MOTION:
        return ""
    stamp_ns = request.get("stamp_ns")
    if named is None or not isinstance(stamp_ns, int):
        return f"{event.value} needs the robot's name and the stamp_ns of an answer to `ping`"
    age_ns = now_ns - stamp_ns
    if not 0 <= age_ns <= VALID_NS:
        return (
            f"the order is {age_ns / 1e6:.0f} ms old (limit {VALID_NS / 1e6:.0f} ms); look at the "
            "arm and order again"
        )
    return ""
