"""A robot's two streams over real sockets on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from actd.client import Mode, Robot
from actd.link import messages, sockets
from actd.link.age import boottime_ns, clock_id
from actd.link.messages import Action, State

S = 1_000_000_000


class Daemon:
    """What a daemon sends and hears."""

    def __init__(self, context: zmq.Context[Any], ports: sockets.Ports) -> None:
        self.seq = 0
        self._actions = sockets.publisher(context, sockets.endpoint("127.0.0.1", ports.actions))
        self._states = sockets.state_receiver(context, sockets.endpoint("127.0.0.1", ports.state))

    def send(self, clock: str = "", ahead_ns: int = 0, robot: str = "aloha") -> Action:
        """Send an action by this computer's clock, or one that is `ahead_ns` of it."""
        self.seq += 1
        action = Action(
            robot=robot,
            boot="b0",
            clock=clock or clock_id(),
            seq=self.seq,
            t=0.0,
            t_boot_ns=boottime_ns() + ahead_ns,
            ttl_ms=200.0,
            mode=Mode.ARMED,
            action={"j": 1.0},
            rest={"j": 1.5},
            rest_ms=300.0,
            chunk=1,
            age_ms=1.0,
            n=1,
            infer_ms=1.0,
            late_us=0.0,
            flags=0,
        )
        self.send_bytes(messages.pack_action(action))
        return action

    def send_bytes(self, data: bytes) -> None:
        self._actions.send(data, zmq.DONTWAIT)

    def hear(self, timeout_ms: int = 10) -> State | None:
        """The next state, if there is one."""
        if not self._states.poll(timeout_ms):
            return None
        return messages.parse_state(self._states.recv())


@pytest.fixture
def daemon(context: zmq.Context[Any], ports: sockets.Ports) -> Daemon:
    return Daemon(context, ports)


@pytest.fixture
def robot(ports: sockets.Ports, daemon: Daemon) -> Iterator[Robot]:
    with Robot("aloha", ports=ports) as robot:
        yield robot


def first_action(daemon: Daemon, robot: Robot, **how: Any) -> Action:
    """Send until one is returned: a PUB does not know when a subscription arrives."""
    for _ in range(500):
        daemon.send(**how)
        found = robot.receive(0.01)
        if found is not None:
            return found
    raise AssertionError(f"nothing received; {robot.last_rejection}")


def state_of(daemon: Daemon, robot: Robot, **how: Any) -> State:
    """Send until one is heard; a PUB that keeps one message may drop a second within a ms."""
    while daemon.hear() is not None:
        pass  # what was sent again before, and came late
    for _ in range(500):
        robot.send_state({"j": 0.5}, **how)
        if (state := daemon.hear()) is not None:
            return state
    raise AssertionError("nothing heard")


def test_a_robot_gets_the_newest_action_until_it_has_stopped(daemon: Daemon, robot: Robot) -> None:
    first_action(daemon, robot)
    for _ in range(20):
        sent = daemon.send()
        time.sleep(0.005)
    time.sleep(0.05)
    newest = robot.receive(1.0)
    assert newest == sent
    daemon.send_bytes(b"junk")
    assert robot.receive(1.0) is newest
    assert robot.rejected == 1
    assert "not msgpack" in robot.last_rejection or "string keys" in robot.last_rejection
    ramp = []
    while (action := robot.current()) is not None:
        if action.expired:
            ramp.append(action)
        time.sleep(0.005)
    assert ramp
    assert {action.mode for action in ramp} == {Mode.HOLD}
    assert [action.action["j"] for action in ramp] == sorted(a.action["j"] for a in ramp)
    assert ramp[-1].action["j"] <= 1.5
    assert boottime_ns() - sent.t_boot_ns >= 500_000_000


def test_what_waited_while_nobody_read_is_judged_by_its_age(daemon: Daemon, robot: Robot) -> None:
    """A SUB keeps the last message of a daemon that is long dead."""
    until_ns = time.monotonic_ns() + S // 2
    while time.monotonic_ns() < until_ns:  # until the subscription has arrived
        daemon.send()
        time.sleep(0.01)
    time.sleep(0.3)
    assert robot.receive(0.1) is None
    assert robot.rejected == 1
    assert "ms old on arrival, it may be used for 200 ms" in robot.last_rejection


@pytest.mark.parametrize("ahead_ns", [-(10**15), 3600 * S])
def test_of_a_foreign_clock_what_waited_is_never_used(
    daemon: Daemon, robot: Robot, ahead_ns: int
) -> None:
    how: dict[str, Any] = {"clock": "other-clock", "ahead_ns": ahead_ns}
    until_ns = time.monotonic_ns() + S // 2
    while time.monotonic_ns() < until_ns:
        waited = daemon.send(**how)
        time.sleep(0.01)
    time.sleep(0.1)
    assert robot.receive(0.1) is None
    assert robot.receive(0.1) is None  # and there was only that one
    found = first_action(daemon, robot, **how)
    assert found.seq > waited.seq + 1
    assert robot.rejected == 0


def test_another_robots_actions_are_rejected_with_the_reason(daemon: Daemon, robot: Robot) -> None:
    for _ in range(500):
        daemon.send(robot="left-bench")
        assert robot.receive(0.01) is None
        if robot.rejected:
            break
    assert "left-bench's actions, this arm is aloha" in robot.last_rejection
    assert first_action(daemon, robot).robot == "aloha"


def test_a_state_tells_who_measured_when(daemon: Daemon, robot: Robot) -> None:
    before_ns = boottime_ns()
    state = state_of(daemon, robot, env=[1.0])
    assert (state.robot, state.clock) == ("aloha", clock_id())
    assert (state.state, state.env) == ({"j": 0.5}, (1.0,))
    assert before_ns <= state.t_boot_ns <= boottime_ns()
    again = state_of(daemon, robot, measured_ns=before_ns)
    assert again.t_boot_ns == before_ns
    assert again.seq > state.seq
    assert again.source == state.source


def test_a_state_acknowledges_what_was_returned(daemon: Daemon, robot: Robot) -> None:
    def acknowledged(**how: Any) -> tuple[str, int]:
        state = state_of(daemon, robot, **how)
        return state.ack_boot, state.ack_seq

    assert acknowledged() == ("", 0)
    action = first_action(daemon, robot)
    assert acknowledged() == ("b0", action.seq)
    assert acknowledged(acting=False) == ("", 0)
    while robot.current() is not None:
        time.sleep(0.01)
    assert acknowledged() == ("b0", action.seq)  # no newer one: to the daemon it grows old


def test_a_daemon_hears_two_senders(daemon: Daemon, robot: Robot, ports: sockets.Ports) -> None:
    with Robot("aloha", ports=ports) as rival:
        state_of(daemon, robot)
        state_of(daemon, rival)
        for _ in range(10):
            robot.send_state({"j": 0.0})
            rival.send_state({"j": 1.5})
            time.sleep(0.01)
        heard = []
        while (state := daemon.hear()) is not None:
            heard.append(state.source)
    assert len(heard) > 10
    assert len(set(heard)) == 2
