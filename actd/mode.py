"""The modes of the daemon, as they are numbered on the wire."""

from __future__ import annotations

from enum import IntEnum


class Mode(IntEnum):
    """What the daemon is doing, and so what the arm may do.

    IDLE: nothing is commanded. ARMED: the policy drives. HOLD: the command ramps to
    rest and stays. FAULT: as HOLD, latched until an operator resets. STOP: latched end.
    MOVING: the daemon itself moves the arm to a pose. TAKEOVER: an operator's leader arm leads.
    """

    IDLE = 0
    ARMED = 1
    HOLD = 2
    FAULT = 3
    STOP = 4
    MOVING = 5
    TAKEOVER = 6
