"""The daemon's side of the wire, for moving one joint by hand: state in, actions out.

Binds the state and actions ports (so no daemon may run), speaks schema v1, passes every command
through the guard with the deployment's limits. Whatever ends a session (its plan, Ctrl-C,
SIGTERM, a stale state, a controller that leaves, an arm that does not follow) the arm is ramped
to rest and STOP is repeated; only then is the error raised.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zmq

from actd.config import Config
from actd.control.guard import Guard, Vector
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.measure.response import Trace
from actd.mode import Mode
from actd.runtime.clock import now_ns, sleep_until_ns, unix_s
from actd.runtime.schedule import Schedule
from actd.runtime.settings import joint_limits

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BRAKE_NS_MAX = 1_000_000_000
_STOP_NS = 100_000_000
_STOP_TICKS_MIN = 5
_SPIN_NS = 2_000_000  # closer to the deadline than this, only the deadline is waited for


@dataclass(frozen=True, slots=True)
class Target:
    """Where the joint is to be, relative to where it began, and for how long."""

    offset: float
    hold_ns: int


class Session:
    """One sitting with the arm. A context manager; drive once."""

    def __init__(self, config: Config) -> None:
        """Binds the ports. Raises LinkError where something, such as a daemon, has them."""
        self._config = config
        self._joints = list(config.robot.joints)
        joints = config.robot.joints.values()
        self._start_distance = np.array(
            [joint.start_distance or config.robot.start_distance for joint in joints]
        )
        self._period_ns = round(1e9 / config.control.rate_hz)
        self._guard = Guard(joint_limits(config), self._period_ns)
        self._listeners = 0
        self._seq = 0
        self._state: list[tuple[int, Vector]] = []
        self._sent: list[tuple[int, Vector]] = []
        self._asked_to_end = False
        host, ports = config.link.host, config.link.ports
        self._context: zmq.Context[Any] = zmq.Context()
        try:
            self._states = sockets.newest(
                self._context, sockets.endpoint(host, ports.state), bind=True
            )
            self._actions = sockets.publisher(self._context, sockets.endpoint(host, ports.actions))
        except LinkError:
            self._context.destroy(linger=0)
            raise

    def wait_pose(self, timeout_s: float) -> Vector:
        """The measured pose (joints,), once a controller sends it and listens. Raises LinkError."""
        deadline_ns = now_ns() + round(timeout_s * 1e9)
        # The first one may have been waiting since long ago, the second one is news.
        enough = len(self._state) + 2
        while len(self._state) < enough or not self._listeners:
            if now_ns() > deadline_ns:
                raise LinkError(self._silence(timeout_s, heard=len(self._state) >= enough))
            self._states.poll(20)
            self._read()
        return self._state[-1][1]

    def drive(self, joint: str, targets: Sequence[Target]) -> tuple[Trace, list[int]]:
        """Move one joint through `targets` while all others hold the measured pose.

        Returns what was sent and measured of it, and when each target was first aimed at, in ns.
        Raises LinkError when it had to end early, KeyboardInterrupt when asked to.
        """
        index = self._joints.index(joint)
        pose = self.wait_pose(1.0)
        self._guard.reset(pose)
        del self._state[:-1]
        previous = self._catch_signals()
        schedule = Schedule(self._period_ns, now_ns() + self._period_ns)
        starts = []
        try:
            for target in targets:
                aim = pose.copy()
                aim[index] += target.offset
                starts.append(self._sent[-1][0] if self._sent else schedule.due_ns)
                for _ in range(max(1, target.hold_ns // self._period_ns)):
                    self._wait(schedule)
                    self._check()
                    self._send(Mode.ARMED, *self._guard.step(aim))
        finally:
            self._end(schedule)
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._trace(index), starts

    def close(self) -> None:
        """Release the ports. Safe to call twice."""
        self._context.destroy(linger=100)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, schedule: Schedule) -> None:
        """Ramp to rest, then repeat STOP: a controller keeps only the newest message."""
        limit_ns = now_ns() + _BRAKE_NS_MAX
        while not self._guard.at_rest and now_ns() < limit_ns:
            self._wait(schedule)
            self._send(Mode.HOLD, self._guard.brake())
        until_ns, count = now_ns() + _STOP_NS, 0
        while count < _STOP_TICKS_MIN or now_ns() < until_ns:
            self._wait(schedule)
            self._send(Mode.STOP, self._guard.brake())
            count += 1

    def _wait(self, schedule: Schedule) -> None:
        """Until the next tick is due; every state on the way is taken in when it arrives."""
        while (left_ns := schedule.due_ns - now_ns()) > _SPIN_NS:
            self._states.poll((left_ns - _SPIN_NS // 2) // 1_000_000)
            self._read()
        sleep_until_ns(schedule.due_ns)
        schedule.arrive(now_ns())
        schedule.advance()
        self._read()

    def _read(self) -> None:
        try:
            message = messages.parse_state(self._states.recv(zmq.DONTWAIT))
            pose = np.array([message.state[name] for name in self._joints])
            self._state.append((now_ns(), pose))
        except (zmq.Again, LinkError, KeyError):
            pass  # the state's age grows, and that ends the session
        try:
            while True:
                joined = self._actions.recv(zmq.DONTWAIT)[:1] == b"\x01"
                self._listeners = max(0, self._listeners + (1 if joined else -1))
        except zmq.Again:
            pass

    def _check(self) -> None:
        """Whether to go on; raises why not."""
        if self._asked_to_end:
            raise KeyboardInterrupt
        if not self._listeners:
            raise LinkError("the robot's controller stopped listening: the arm was told to stop")
        measured_ns, pose = self._state[-1]
        age_ms, limit_ms = (now_ns() - measured_ns) / 1e6, self._config.staleness.state_ms
        if age_ms > limit_ms:
            raise LinkError(
                f"robot state is {age_ms:.0f} ms old (limit {limit_ms:g} ms, staleness.state_ms): "
                "the arm was told to stop"
            )
        distance = np.abs(pose - self._guard.position)
        for j in np.flatnonzero(distance > self._start_distance):
            raise LinkError(
                f"joint {self._joints[j]}: is {distance[j]:.3g} from its command (limit "
                f"{self._start_distance[j]:.3g}, start_distance): the arm was told to stop"
            )

    def _send(self, mode: Mode, command: Vector, flags: int = 0) -> None:
        self._seq += 1
        sent_ns = now_ns()
        message = messages.Action(
            seq=self._seq,
            t=unix_s(),
            t_mono_ns=sent_ns,
            ttl_ms=self._config.link.ttl_ms,
            mode=mode,
            action=dict(zip(self._joints, command.tolist(), strict=True)),
            plan=0,
            age_ms=-1.0,
            n=0,
            infer_ms=0.0,
            late_us=0.0,
            flags=flags,
        )
        self._actions.send(messages.pack_action(message), zmq.DONTWAIT)
        self._sent.append((sent_ns, command))

    def _catch_signals(self) -> dict[int, Any]:
        """From now on a signal is an orderly end. Only the main thread gets any."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._ask_to_end) for number in _SIGNALS}

    def _ask_to_end(self, *_: object) -> None:
        self._asked_to_end = True

    def _trace(self, index: int) -> Trace:
        sent_ns, commands = zip(*self._sent, strict=True)
        measured_ns, poses = zip(*self._state, strict=True)
        return Trace(
            np.array(sent_ns),
            np.array(commands)[:, index],
            np.array(measured_ns),
            np.array(poses)[:, index],
        )

    def _silence(self, timeout_s: float, *, heard: bool) -> str:
        link = self._config.link
        if heard:
            return (
                f"nobody listens on port {link.actions_port} within {timeout_s:g} s: "
                "the robot's controller sends its state but does not take actions"
            )
        return (
            f"no state with all of {', '.join(self._joints)} on port {link.state_port} within "
            f"{timeout_s:g} s: start the robot's controller"
        )
