"""Until when a command may be used, and the gentle stop after that. No clock is read here.

The receiver decides that the daemon is gone. A command says until when it holds and how it would
be brought to rest, so that silence need not mean an abrupt stop from full speed.
"""

from __future__ import annotations

from dataclasses import replace

from actd.errors import LinkError
from actd.link.age import MessageAge
from actd.link.messages import Action
from actd.mode import Mode


class Expiry:
    """Keeps the newest command and tells what holds.

    own_clock: the receiver's `clock_id()`; every time given here is its BOOTTIME in ns.
    robot: the only one whose commands count; "" takes any.
    """

    def __init__(self, own_clock: str, robot: str = "", *, gentle_stop: bool = True) -> None:
        self._own_clock = own_clock
        self._robot = robot
        self._gentle_stop = gentle_stop
        self._age = MessageAge(own_clock)
        self._boot = ""
        self._seq = 0
        self._newest: Action | None = None
        self._expires_ns = 0
        self._asked_ns = 0

    def accept(self, action: Action, arrival_ns: int) -> None:
        """Take a command in. One that is repeated, overtaken, or not to be dated yet, changes
        nothing; LinkError says why any other cannot be used.
        """
        if self._robot and action.robot != self._robot:
            raise LinkError(
                f"robot: these are {action.robot or 'nameless'}'s actions, this arm is "
                f"{self._robot}; check host and ports"
            )
        if action.boot != self._boot:
            self._boot = action.boot
            self._age.forget()
        elif action.seq <= self._seq:
            return
        self._seq = action.seq
        age_ns = self._age.of(action.clock, action.t_boot_ns, arrival_ns)
        if age_ns is None:
            if action.clock == self._own_clock:
                raise LinkError(
                    f"t_boot_ns: {(action.t_boot_ns - arrival_ns) / 1e6:.0f} ms in the future of "
                    "the same clock; run daemon and controller in one time namespace"
                )
            return
        expires_ns = arrival_ns - age_ns + round(action.ttl_ms * 1e6)
        if expires_ns <= arrival_ns:
            raise LinkError(
                f"ttl_ms: the action was {age_ns / 1e6:.0f} ms old on arrival, it may be used for "
                f"{action.ttl_ms:g} ms; look for what delays it, or raise link.ttl_ms"
            )
        self._newest, self._expires_ns = action, expires_ns

    def current(self, now_ns: int) -> Action | None:
        """The newest command while it holds; then the steps of its gentle stop; then None: hold.

        To be asked once per control cycle. An arm whose controller did not ask for as long as the
        ttl stands already, and is not set in motion again.
        """
        newest, asked_ns = self._newest, self._asked_ns
        self._asked_ns = now_ns
        if newest is None or now_ns < self._expires_ns:
            return newest
        stalled = now_ns - asked_ns > newest.ttl_ms * 1e6
        if not self._gentle_stop or stalled:
            self._newest = None
            return None
        return ramp_to_rest(newest, now_ns - self._expires_ns)


def ramp_to_rest(action: Action, since_ns: int) -> Action | None:
    """`action` on its way to rest, `since_ns` (>= 0) after its expiry; None: it is there, or idle.

    Each joint follows a parabola that begins at the command with the speed 2 (rest - command) /
    rest_ms and comes to rest after rest_ms, that is with constant deceleration.
    """
    left = 1.0 - since_ns / (action.rest_ms * 1e6) if action.rest_ms > 0 else 0.0
    if left <= 0 or not action.moves:
        return None
    share = 1.0 - left * left
    steps = {
        joint: value + (action.rest[joint] - value) * share
        for joint, value in action.action.items()
    }
    return replace(action, mode=Mode.HOLD, action=steps, expired=True)
