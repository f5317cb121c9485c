"""What the tick process believes of the robot: who sends, how old, what it acts upon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import zmq

from actd.link import messages, sockets
from actd.link.age import boottime_ns, clock_id
from actd.runtime.channels import state_dtype
from actd.runtime.clock import now_ns
from actd.runtime.robot_io import RobotIO
from actd.runtime.settings import TickSettings
from actd.runtime.shm import Ring
from tests.control.rig import settings

MS = 1_000_000
JOINTS = ("waist", "elbow")


class Wire:
    """A RobotIO with a program that sends it states; `now` is the tick's clock, moved by hand.

    The states come from `peer`, or at a socket of the test's own.
    """

    def __init__(self, states: zmq.Socket[bytes] | None = None) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.states = states or self.context.socket(zmq.PAIR)
        if states is None:
            self.states.bind("inproc://states")
        self.peer = self.context.socket(zmq.PAIR)
        self.peer.connect("inproc://states")
        self.actions = self.context.socket(zmq.PUB)
        tick = TickSettings(
            robot="blue",
            boot="boot-1",
            rate_hz=50.0,
            state_names=("elbow", "waist", "extra"),
            env_dim=0,
            realtime="off",
            priority=1,
            cores=(0,),
            host="127.0.0.1",
            ports=sockets.Ports(1, 2, 3, 4),
        )
        control = replace(settings(lower=-3.0, upper=3.0), joints=JOINTS)
        self.ring = Ring(state_dtype(3, 0), 16)
        self.io = RobotIO(self.states, self.actions, tick, control, self.ring)
        self.now = 10**12
        self.boot = 5 * 10**12  # the same moment on the other clock
        self.seq = 0

    def say(self, age_ms: float = 0.0, **changes: Any) -> None:
        """One state, measured `age_ms` before now; then a look at what has come."""
        self.seq += 1
        fields = {
            "robot": "blue",
            "source": "arm-1",
            "clock": clock_id(),
            "seq": self.seq,
            "t": 0.0,
            "t_boot_ns": self.boot - round(age_ms * MS),
            "state": {"waist": 0.1, "elbow": 0.2, "extra": 0.3},
        }
        self.peer.send(messages.pack_state(messages.State(**{**fields, **changes})))
        self.look()

    def look(self) -> None:
        self.io.read(self.now, self.boot)

    def wait(self, ms: float) -> None:
        self.now += round(ms * MS)
        self.boot += round(ms * MS)


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.context.destroy(linger=0)


def test_a_state_is_as_old_as_it_says(wire: Wire) -> None:
    wire.say(age_ms=19.0)
    assert wire.io.state_age_ns(wire.now) == 19 * MS
    assert wire.io.positions is not None
    assert wire.io.positions.tolist() == [0.1, 0.2]
    latest = wire.ring.latest()
    assert latest is not None
    assert latest[1]["t_ns"] == wire.now - 19 * MS
    assert latest[1]["state"].tolist() == pytest.approx([0.2, 0.1, 0.3])


def test_one_that_waited_in_the_socket_is_old(wire: Wire) -> None:
    wire.say()
    wire.wait(1500)
    wire.say(age_ms=1500)
    assert wire.io.state_age_ns(wire.now) == 1500 * MS


def test_a_pose_that_is_sent_again_with_its_old_stamp_grows_old(wire: Wire) -> None:
    stamp = wire.boot
    for _ in range(5):
        wire.say(t_boot_ns=stamp)
        wire.wait(100)
    assert wire.io.state_age_ns(wire.now) == 500 * MS


def test_who_merely_sends_does_not_follow(wire: Wire) -> None:
    wire.io.send(1, b"action", wire.now)
    wire.say()
    assert wire.io.controller_age_ns(wire.now) is None
    wire.wait(20)
    wire.say(ack_boot="boot-1", ack_seq=1)
    assert wire.io.controller_age_ns(wire.now) == 20 * MS
    wire.wait(30)
    wire.say(ack_boot="boot-1", ack_seq=1)
    assert wire.io.controller_age_ns(wire.now) == 50 * MS


@pytest.mark.parametrize(
    "ack", [{"ack_boot": "boot-0", "ack_seq": 1}, {"ack_boot": "boot-1", "ack_seq": 900}]
)
def test_an_acknowledgement_of_what_was_never_sent_counts_for_nothing(
    wire: Wire, ack: dict[str, Any]
) -> None:
    wire.io.send(1, b"action", wire.now)
    wire.say(**ack)
    assert wire.io.controller_age_ns(wire.now) is None


def test_a_second_program_is_a_rival_and_not_believed(wire: Wire) -> None:
    wire.say()
    wire.wait(10)
    wire.say(source="arm-2", state={"waist": 1.5, "elbow": 1.5, "extra": 0.0})
    assert wire.io.rivals(wire.now)
    assert wire.io.positions is not None
    assert wire.io.positions.tolist() == [0.1, 0.2]
    assert wire.io.source == 1
    wire.wait(600)
    assert not wire.io.rivals(wire.now)


def test_a_controller_that_was_started_again_is_another_source(wire: Wire) -> None:
    wire.io.send(1, b"action", wire.now)
    wire.say(ack_boot="boot-1", ack_seq=1)
    wire.wait(700)
    wire.say(source="arm-2", state={"waist": 1.5, "elbow": 1.5, "extra": 0.0})
    assert wire.io.source == 2
    assert not wire.io.rivals(wire.now)
    assert wire.io.positions is not None
    assert wire.io.positions.tolist() == [1.5, 1.5]
    assert wire.io.controller_age_ns(wire.now) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"state": {"shoulder_pan.pos": 0.0, "b": 0.0}},
            "waist, elbow missing; they name shoulder_pan.pos, b",
        ),
        ({"state": {}}, "waist, elbow missing; they name nothing"),
        ({"state": {"waist": 1e6, "elbow": 0.0, "extra": 0.0}}, "waist is 1e\\+06, far outside"),
        ({"state": {"waist": 90.0, "elbow": 0.0, "extra": 0.0}}, "check the units"),
        ({"env": (1.0, 2.0)}, "env: found 2 values, expected 0"),
        ({"robot": "red"}, "they are of robot .red., this is blue"),
        ({"state": {"waist": 0.0, "elbow": 0.0, "extra": 1e200}}, "too large"),
    ],
)
def test_what_does_not_fit_is_counted_and_told(
    wire: Wire, changes: dict[str, Any], reason: str
) -> None:
    for _ in range(3):
        wire.say(**changes)
    assert wire.io.state_age_ns(wire.now) is None
    assert wire.io.rejected == 3
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(wire.io.problem(wire.now))
    wire.wait(1500)
    assert wire.io.problem(wire.now) == ""


def test_bytes_that_are_no_message_are_counted(wire: Wire) -> None:
    wire.peer.send(b"\xc1 nonsense")
    wire.look()
    assert wire.io.rejected == 1


def test_a_flood_takes_no_more_than_a_bounded_time_a_tick(wire: Wire) -> None:
    for _ in range(500):
        wire.peer.send(b"nonsense")
    wire.look()
    assert wire.io.rejected == 16


def test_over_real_sockets_the_newest_of_all_that_came_counts(
    context: zmq.Context[Any], ports: sockets.Ports
) -> None:
    address = sockets.endpoint("127.0.0.1", ports.state)
    wire = Wire(sockets.state_receiver(context, address))
    sender = sockets.sender(context, address)
    deadline = time.monotonic() + 10
    while wire.io.state_ns is None and time.monotonic() < deadline:
        wire.seq += 1
        state = {"waist": 0.001 * wire.seq, "elbow": 0.0, "extra": 0.0}
        message = messages.State("blue", "arm-1", clock_id(), wire.seq, 0.0, boottime_ns(), state)
        sender.send(messages.pack_state(message))
        time.sleep(0.01)
        wire.io.read(now_ns(), boottime_ns())
    assert wire.io.state_ns is not None
    wire.context.destroy(linger=0)


# --- a leader


PLACE = {"waist": -0.25, "elbow": 0.5}


def test_a_leader_is_as_old_as_it_says(wire: Wire) -> None:
    wire.say()
    assert (wire.io.leader, wire.io.leader_age_ns(wire.now)) == (None, None)
    wire.wait(20)
    wire.say(age_ms=10.0, leader=PLACE, leader_boot_ns=wire.boot - 25 * MS)
    assert wire.io.leader is not None
    assert wire.io.leader.tolist() == [-0.25, 0.5]
    assert wire.io.leader_age_ns(wire.now) == 25 * MS
    wire.wait(50)
    wire.say()  # without it: what was known of it grows old
    assert wire.io.leader_age_ns(wire.now) == 75 * MS


def test_a_leader_that_is_sent_again_with_its_old_stamp_grows_old(wire: Wire) -> None:
    stamp = wire.boot
    for _ in range(5):
        wire.say(leader=PLACE, leader_boot_ns=stamp)
        wire.wait(100)
    assert wire.io.leader_age_ns(wire.now) == 500 * MS
    assert wire.io.state_age_ns(wire.now) == 100 * MS


def test_on_another_clock_a_leader_is_dated_as_its_state_is(wire: Wire) -> None:
    hour = 3600 * 10**9
    for _ in range(2):
        wire.wait(20)
        stamp = wire.boot - hour
        wire.say(clock="other", t_boot_ns=stamp, leader=PLACE, leader_boot_ns=stamp - 30 * MS)
    assert wire.io.state_age_ns(wire.now) == 0
    assert wire.io.leader_age_ns(wire.now) == 30 * MS


@pytest.mark.parametrize(
    ("leader", "later_ms", "words"),
    [
        ({"waist": 0.1}, 0, "leader: elbow missing; they name waist"),
        ({"waist": 40.0, "elbow": 0.1}, 0, "leader: waist is 40, far outside its limits"),
        (PLACE, 3600_000, "leader: measured 3.6e+03 s after the state it came with"),
    ],
)
def test_what_is_no_leader_is_refused_and_the_state_is_taken(
    wire: Wire, leader: dict[str, float], later_ms: int, words: str
) -> None:
    wire.say(leader=leader, leader_boot_ns=wire.boot + later_ms * MS)
    assert wire.io.leader is None
    assert wire.io.state_age_ns(wire.now) == 0
    assert words in wire.io.problem(wire.now)


def test_another_program_brings_another_leader(wire: Wire) -> None:
    wire.say(leader=PLACE, leader_boot_ns=wire.boot)
    wire.wait(600)
    wire.say(source="arm-2")
    assert wire.io.leader is None
