"""The state machine, as one table.

A phase is a mode with its cause: HOLD after a gap in the chunks may recover by itself for
a short while, HOLD by an operator may not. Whatever is not in the table changes nothing;
for an operator's command that is a refusal.
"""

from __future__ import annotations

from enum import Enum, auto

from actd.mode import Mode


class Phase(Enum):
    """A mode and why it was entered."""

    IDLE = auto()
    ARMED = auto()
    GAP = auto()  # holding because chunks or state went stale; may recover
    HOLD = auto()  # holding because an operator said so
    FAULT = auto()
    STOP = auto()


class Event(Enum):
    """What can happen. The first four are an operator's commands."""

    ARM = "arm"
    HOLD = "hold"
    STOP = "stop"
    RESET = "reset"
    UNDERRUN = "underrun"
    RECOVER = "recover"
    EXPIRE = "expire"
    FAULT = "fault"


MODE: dict[Phase, Mode] = {
    Phase.IDLE: Mode.IDLE,
    Phase.ARMED: Mode.ARMED,
    Phase.GAP: Mode.HOLD,
    Phase.HOLD: Mode.HOLD,
    Phase.FAULT: Mode.FAULT,
    Phase.STOP: Mode.STOP,
}

TRANSITIONS: dict[tuple[Phase, Event], Phase] = {
    (Phase.IDLE, Event.ARM): Phase.ARMED,
    (Phase.HOLD, Event.ARM): Phase.ARMED,
    (Phase.ARMED, Event.HOLD): Phase.HOLD,
    (Phase.GAP, Event.HOLD): Phase.HOLD,
    (Phase.ARMED, Event.UNDERRUN): Phase.GAP,
    (Phase.GAP, Event.RECOVER): Phase.ARMED,
    (Phase.GAP, Event.EXPIRE): Phase.FAULT,
    (Phase.ARMED, Event.FAULT): Phase.FAULT,
    (Phase.GAP, Event.FAULT): Phase.FAULT,
    (Phase.HOLD, Event.RESET): Phase.IDLE,
    (Phase.FAULT, Event.RESET): Phase.IDLE,
    (Phase.STOP, Event.RESET): Phase.IDLE,
    **{(phase, Event.STOP): Phase.STOP for phase in Phase},
}

# What an operator should do instead, where a command is refused.
_REMEDY: dict[tuple[Phase, Event], str] = {
    (Phase.ARMED, Event.ARM): "already armed",
    (Phase.GAP, Event.ARM): "waiting for fresh chunks; hold first to take over",
    (Phase.FAULT, Event.ARM): "FAULT is latched; reset first",
    (Phase.STOP, Event.ARM): "STOP is latched; reset first",
    (Phase.IDLE, Event.HOLD): "nothing is commanded in IDLE, so there is nothing to hold",
    (Phase.HOLD, Event.HOLD): "already holding",
    (Phase.ARMED, Event.RESET): "armed; hold or stop first",
    (Phase.IDLE, Event.RESET): "already IDLE",
}


def rejection(phase: Phase, event: Event) -> str | None:
    """Why an operator's command is not possible now, or None when it is."""
    if (phase, event) in TRANSITIONS:
        return None
    return _REMEDY.get((phase, event), f"not possible in {MODE[phase].name}")


def after(phase: Phase, event: Event) -> Phase:
    """The phase that follows; the same one where the table has no entry."""
    return TRANSITIONS.get((phase, event), phase)
