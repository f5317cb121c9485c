"""The tick process's sockets to the robot: its measured state in, actions out.

In: state messages (SUB). Out: actions (PUB), the state for inference. A message that does not
fit is counted with the reason, and the state's age grows, which is what is acted upon. A state
is as old as its sender says that it was measured; the robot follows as long as it acknowledges
what it was sent. Nothing here ever waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import zmq

from actd.arrays import Vector
from actd.control.arming import plausible_range
from actd.control.settings import ControlSettings
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.age import MessageAge, clock_id
from actd.runtime.settings import TickSettings
from actd.runtime.shm import Ring

# However much peers send, the tick has other things to do.
_MESSAGES_MAX = 16
# So much later than the state a leader may have been measured that comes with it.
_LATER_NS = 100_000_000
# Whoever sent the state and is silent for this long may be replaced without being a rival.
_GONE_NS = 500_000_000
_SENT = 1024  # actions whose time of sending is known
_RECENT_NS = 1_000_000_000
_NAMES_SHOWN = 4


class RobotIO:
    """What is known of the robot: `positions` (action_dim,) and when it was measured, who sends it,
    and how far it follows.
    """

    def __init__(
        self,
        states: zmq.Socket[bytes],
        actions: zmq.Socket[bytes],
        settings: TickSettings,
        control: ControlSettings,
        ring: Ring,
    ) -> None:
        self._states = states
        self._actions = actions
        self._settings = settings
        self._joints = control.joints
        self._limits = control.limits
        low, high = plausible_range(control.limits)
        self._plausible = list(zip(low.tolist(), high.tolist(), strict=True))
        self._ring = ring
        self._age = MessageAge(clock_id())
        self._sender = ""
        self._heard_ns = 0
        self._rival_ns: int | None = None
        self._seq = 0
        self._sent_ns = [0] * _SENT
        self._acknowledged_ns: int | None = None
        self._rejected_ns = 0
        self.positions: Vector | None = None
        self.state_ns: int | None = None
        self.source = 0
        """How many programs have sent the state, one after the other."""
        self.leader: Vector | None = None
        """Where an operator's leader arm is, (action_dim,)."""
        self._leader_ns = 0
        self.rejected = 0
        """Messages that did not fit."""
        self.rejection = ""
        """What was wrong with the newest of them."""

    def read(self, now: int, boot_ns: int) -> None:
        """Take in what has arrived; `now` and `boot_ns` are the tick's two clocks."""
        for _ in range(_MESSAGES_MAX):
            try:
                data = self._states.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            try:
                self._take(messages.parse_state(data), now, boot_ns)
            except LinkError as error:
                self.rejected += 1
                self.rejection, self._rejected_ns = str(error), now

    def send(self, seq: int, message: bytes, now: int) -> None:
        """Publish one command; never waits."""
        self._seq, self._sent_ns[seq % _SENT] = seq, now
        self._actions.send(message, zmq.DONTWAIT)

    def state_age_ns(self, now: int) -> int | None:
        """Since the newest state was measured; None: there is none."""
        return None if self.state_ns is None else now - self.state_ns

    def leader_age_ns(self, now: int) -> int | None:
        """Since the leader's place was measured; None: there is none."""
        return None if self.leader is None else max(0, now - self._leader_ns)

    def controller_age_ns(self, now: int) -> int | None:
        """Since the newest action was sent that the robot has acted upon; None: there is none."""
        return None if self._acknowledged_ns is None else now - self._acknowledged_ns

    def rivals(self, now: int) -> bool:
        """Whether two programs send the state."""
        return self._rival_ns is not None and now - self._rival_ns < _GONE_NS

    def problem(self, now: int) -> str:
        """Why the newest messages were refused, in a sentence; "" when there were none."""
        if not self.rejected or now - self._rejected_ns > _RECENT_NS:
            return ""
        return f"robot state: {self.rejected} messages refused: {self.rejection}"

    def _take(self, message: messages.State, now: int, boot_ns: int) -> None:
        settings = self._settings
        if message.robot not in ("", settings.robot):
            raise LinkError(f"they are of robot {message.robot!r}, this is {settings.robot}")
        self._identify(message.source, now)
        values = _values(message.state, self._joints)
        state = _values(message.state, settings.state_names)
        if len(message.env) != settings.env_dim:
            raise LinkError(f"env: found {len(message.env)} values, expected {settings.env_dim}")
        self._check_plausible(values)
        age_ns = self._age.of(message.clock, message.t_boot_ns, boot_ns)
        if age_ns is None:
            if message.clock == clock_id():
                ahead_s = (message.t_boot_ns - boot_ns) / 1e9
                raise LinkError(
                    f"measured {ahead_s:.3g} s from now; date positions by CLOCK_BOOTTIME"
                )
            return  # the first of its clock: the next one can be dated
        measured_ns = now - age_ns
        if message.ack_boot == settings.boot:
            self._acknowledge(message.ack_seq)
        if self.state_ns is not None and measured_ns <= self.state_ns:
            return
        try:
            self._ring.write_flat(measured_ns, *state, *message.env)
        except OverflowError:
            raise LinkError("a value is too large for a 32-bit number") from None
        self.positions, self.state_ns = np.array(values), measured_ns
        if message.leader:
            self._take_leader(message, measured_ns)

    def _take_leader(self, message: messages.State, measured_ns: int) -> None:
        """Raises LinkError; the state that it came with stays taken."""
        later_ns = message.leader_boot_ns - message.t_boot_ns
        if later_ns > _LATER_NS:
            raise LinkError(f"leader: measured {later_ns / 1e9:.3g} s after the state it came with")
        try:
            values = _values(message.leader, self._joints)
            self._check_plausible(values)
        except LinkError as error:
            raise LinkError(f"leader: {error}") from None
        # As exact as it is recorded.
        self.leader = np.array(values, np.float32).astype(np.float64)
        self._leader_ns = measured_ns + later_ns

    def _check_plausible(self, values: list[float]) -> None:
        """Raises LinkError for a value that no joint can have."""
        for j, (value, (low, high)) in enumerate(zip(values, self._plausible, strict=True)):
            if not low <= value <= high:
                raise LinkError(
                    f"{self._joints[j]} is {value:.4g}, far outside its limits "
                    f"{self._limits.lower[j]:.4g} to {self._limits.upper[j]:.4g}; check the units"
                )

    def _identify(self, source: str, now: int) -> None:
        """Whether it is the program that has sent the state so far. Raises LinkError."""
        if source != self._sender:
            if self._sender and now - self._heard_ns < _GONE_NS:
                self._rival_ns = now
                raise LinkError("a second program sends the robot's state; stop one of them")
            self._sender = source
            self.source += 1
            self._age.forget()
            self.state_ns = self._acknowledged_ns = self.leader = None
        self._heard_ns = now

    def _acknowledge(self, seq: int) -> None:
        if max(0, self._seq - _SENT) < seq <= self._seq:
            self._acknowledged_ns = max(self._acknowledged_ns or 0, self._sent_ns[seq % _SENT])


def _values(state: dict[str, float], names: Sequence[str]) -> list[float]:
    try:
        return [state[name] for name in names]
    except KeyError:
        missing = [name for name in names if name not in state]
        raise LinkError(
            f"{_listed(missing)} missing; they name {_listed(list(state)) or 'nothing'}"
        ) from None


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"{name:.40}" for name in names[:_NAMES_SHOWN])
    return shown + (", …" if len(names) > _NAMES_SHOWN else "")


def open_sockets(
    context: zmq.Context[Any], settings: TickSettings
) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes], zmq.Socket[bytes]]:
    """State, actions and control, bound. Raises LinkError where a port is in use."""
    host, ports = settings.host, settings.ports
    return (
        sockets.state_receiver(context, sockets.endpoint(host, ports.state)),
        sockets.publisher(context, sockets.endpoint(host, ports.actions)),
        sockets.request_server(context, sockets.endpoint(host, ports.control)),
    )
