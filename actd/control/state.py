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
    PARKING = auto()  # moving to the pose `park`, to hold there
    APPROACHING = auto()  # moving to where the policy starts, to be armed there
    TAKEOVER = auto()  # an operator's leader arm leads
    HOLD = auto()  # holding because an operator said so
    FAULT = auto()
    STOP = auto()


class Event(Enum):
    """What can happen. The first seven are an operator's commands."""

    ARM = "arm"
    HOLD = "hold"
    STOP = "stop"
    RESET = "reset"
    PARK = "park"
    APPROACH = "approach"
    TAKEOVER = "takeover"
    UNDERRUN = "underrun"
    RECOVER = "recover"
    EXPIRE = "expire"
    ARRIVE = "arrive"
    FAULT = "fault"


MOVING = (Phase.PARKING, Phase.APPROACHING)
"""The arm is moved to a pose."""
ORDERED = (*MOVING, Phase.TAKEOVER)
"""The arm is driven by what an operator ordered once, and not by the policy."""
LEADABLE = (Phase.IDLE, Phase.ARMED, Phase.GAP, Phase.HOLD)
"""From where a leader may take over."""

MODE: dict[Phase, Mode] = {
    Phase.IDLE: Mode.IDLE,
    Phase.ARMED: Mode.ARMED,
    Phase.GAP: Mode.HOLD,
    Phase.PARKING: Mode.MOVING,
    Phase.APPROACHING: Mode.MOVING,
    Phase.TAKEOVER: Mode.TAKEOVER,
    Phase.HOLD: Mode.HOLD,
    Phase.FAULT: Mode.FAULT,
    Phase.STOP: Mode.STOP,
}

PARKED = "parked"
"""The reason of a HOLD at the end of a move to the pose `park`."""

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
    (Phase.IDLE, Event.PARK): Phase.PARKING,
    (Phase.HOLD, Event.PARK): Phase.PARKING,
    (Phase.PARKING, Event.ARRIVE): Phase.HOLD,
    (Phase.IDLE, Event.APPROACH): Phase.APPROACHING,
    (Phase.HOLD, Event.APPROACH): Phase.APPROACHING,
    (Phase.APPROACHING, Event.ARRIVE): Phase.ARMED,
    # An operator takes over from a policy that fails at once, and gives back in the same way.
    **{(phase, Event.TAKEOVER): Phase.TAKEOVER for phase in LEADABLE},
    (Phase.TAKEOVER, Event.ARM): Phase.ARMED,
    # What was interrupted is not gone on with: the next move or takeover is another order.
    **{(phase, Event.HOLD): Phase.HOLD for phase in ORDERED},
    **{(phase, Event.UNDERRUN): Phase.HOLD for phase in ORDERED},
    **{(phase, Event.FAULT): Phase.FAULT for phase in ORDERED},
    (Phase.HOLD, Event.RESET): Phase.IDLE,
    (Phase.FAULT, Event.RESET): Phase.IDLE,
    (Phase.STOP, Event.RESET): Phase.IDLE,
    **{(phase, Event.STOP): Phase.STOP for phase in Phase},
}

# What an operator should do instead, where a command is refused: in this phase, and in any case
# of it that has no words of its own.
_REMEDY: dict[tuple[Phase, Event], str] = {
    (Phase.ARMED, Event.ARM): "already armed",
    (Phase.IDLE, Event.HOLD): "nothing is commanded in IDLE, so there is nothing to hold",
    (Phase.HOLD, Event.HOLD): "already holding",
    (Phase.IDLE, Event.RESET): "already IDLE",
    (Phase.TAKEOVER, Event.TAKEOVER): "the leader leads already",
}
_REMEDY_IN: dict[Phase, str] = {
    Phase.ARMED: "armed; `actd hold` first",
    Phase.GAP: "waiting for fresh chunks; `actd hold` first",
    Phase.PARKING: "moving to the pose park; `actd hold` first",
    Phase.APPROACHING: "moving to where the policy starts; `actd hold` first",
    Phase.TAKEOVER: "the leader leads; `actd hold` first",
    Phase.FAULT: "FAULT is latched; `actd reset` first",
    Phase.STOP: "STOP is latched; `actd reset` first",
}


def rejection(phase: Phase, event: Event) -> str | None:
    """Why an operator's command is not possible now, or None when it is."""
    if (phase, event) in TRANSITIONS:
        return None
    return _REMEDY.get((phase, event)) or _REMEDY_IN.get(phase, f"not possible in {phase.name}")


def after(phase: Phase, event: Event) -> Phase:
    """The phase that follows; the same one where the table has no entry."""
    return TRANSITIONS.get((phase, event), phase)
