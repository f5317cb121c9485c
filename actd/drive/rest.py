"""The way out while the daemon is there: it brings the arm to rest, or to its park pose, and the
arm is driven until it is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor

from actd.client import Action, Mode, Operator
from actd.drive.arm import words
from actd.drive.bus_loop import BusLoop, Say
from actd.drive.ending import CutShort

STANDING = frozenset({Mode.IDLE, Mode.HOLD, Mode.FAULT, Mode.STOP})
"""Modes that end at rest by themselves."""

# `actd config check` refuses limits that need more than 5 s to come to rest.
_RAMP_S = 6.0
# Servos lag behind their command; an action from before the order may still be on its way.
_SETTLE_S = 0.3
# A bus that fails now and then may do so at the last command too, and wheels would turn on.
_STAND_S, _STAND_AGAIN_S = 1.0, 0.02


def come_to_rest(
    loop: BusLoop,
    operator: Operator,
    pool: Executor,
    say: Say,
    alive: Callable[[], None],
    *,
    park: bool,
) -> None:
    """Cycle until the arm stands. `alive` is called in every cycle, `pool` waits for answers.

    What the daemon refuses is said, and the arm then stands where it is.
    """
    action = loop.cycle()
    moves = action is not None and not action.expired and action.mode not in STANDING
    for order in ["hold"] * moves + ["park"] * park:
        answer = pool.submit(operator.request, order)
        while not answer.done():
            alive()
            loop.cycle()
        refused = answer.exception()
        if refused:
            say(str(refused))
        # A park may be far away; a second signal cuts it short.
        bounded = order == "hold" or bool(refused)
        _follow(loop, alive, _RAMP_S if bounded else float("inf"))


def stand_still(loop: BusLoop) -> str:
    """Speeds to 0, again and again where the driver raises. Returns why one may not be 0, "" where
    all are.
    """
    why = ""
    deadline_s = time.monotonic() + _STAND_S
    try:
        while not why or time.monotonic() < deadline_s:
            try:
                loop.stand()
                return ""
            except Exception as error:  # noqa: BLE001  a driver may raise anything
                why = words(error)
            time.sleep(_STAND_AGAIN_S)
    except CutShort as cut:
        why = why or str(cut)
    return f"speeds to 0: {why}; stop the robot by hand"


def _follow(loop: BusLoop, alive: Callable[[], None], most_s: float) -> None:
    """Cycle until the command has been at rest for a moment, or for `most_s`."""
    now_s = moved_s = time.monotonic()
    deadline_s = now_s + most_s
    while now_s - moved_s < _SETTLE_S and now_s < deadline_s:
        alive()
        stands = _stands(loop.cycle())
        now_s = time.monotonic()
        moved_s = moved_s if stands else now_s


def _stands(action: Action | None) -> bool:
    """Whether nothing moves the arm any more."""
    return action is None or not action.moves or (action.mode in STANDING and action.rest_ms == 0)
