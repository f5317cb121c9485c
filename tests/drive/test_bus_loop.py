"""The loop over real sockets, with a daemon that says what the test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import zmq

from actd.client import Mode, Robot
from actd.drive import rest
from actd.drive.bus_loop import BusLoop, LoopSettings
from actd.drive.ending import CutShort
from actd.drive.rest import stand_still
from actd.errors import ArmError, LinkError, UsageError
from actd.link import messages, sockets
from actd.link.age import boottime_ns, clock_id
from actd.link.messages import Action
from actd.link.sockets import Ports

SETTINGS = LoopSettings(
    joints=("arm.pos", "x.vel"),
    state=("arm.pos", "x.vel"),
    speeds=frozenset({"x.vel"}),
    period_ns=500_000_000,
    boot="b0",
    patience_ns=10_000_000_000,
)
# Where the test is about silence; else a cycle waits for the message, however busy the computer is.
FAST = replace(SETTINGS, period_ns=10_000_000, patience_ns=400_000_000)
DRIVEN = {"arm.pos": 0.5, "x.vel": 0.3}
STANDING = {"arm.pos": 0.5, "x.vel": 0.0}


class Base:
    """An arm on wheels, which writes down what it is told; `ill` fails that often, `cut` once, as a
    signal does.
    """

    def __init__(self) -> None:
        self.commands: list[dict[str, float]] = []
        self.ill = 0
        self.cut = False
        self.unread = 0

    def connect(self) -> None:
        pass

    def read(self) -> dict[str, float]:
        if self.unread:
            self.unread -= 1
            raise OSError("no answer")
        return {"arm.pos": 0.0, "x.vel": 0.0, "battery": 12.0}

    def command(self, targets: Mapping[str, float]) -> None:
        self.commands.append(dict(targets))
        if self.ill:
            self.ill -= 1
            raise OSError("no")
        if self.cut:
            self.cut = False
            raise CutShort("it hangs")

    def close(self) -> None:
        pass


class Rig:
    """The daemon's end of the wire, and a loop."""

    def __init__(self, context: zmq.Context[Any], ports: Ports, settings: LoopSettings) -> None:
        self._actions = sockets.publisher(context, sockets.endpoint("127.0.0.1", ports.actions))
        self._states = sockets.state_receiver(context, sockets.endpoint("127.0.0.1", ports.state))
        self._seq = 0
        self.arm = Base()
        self.said: list[str] = []
        self.link = Robot("base", ports=ports)
        self.restarts = 0
        self.loop = BusLoop(self.arm, self.link, settings, self.said.append, self._restarted)

    def _restarted(self) -> None:
        self.restarts += 1
        if self.restarts > 1:
            raise UsageError("no")

    def send(self, mode: Mode, action: Mapping[str, float] = DRIVEN, **other: Any) -> None:
        # A publisher whose queue is one message drops the second of two within a millisecond.
        time.sleep(0.003)
        self._seq += 1
        message = Action(
            robot="base",
            boot="b0",
            clock=clock_id(),
            seq=self._seq,
            t=0.0,
            t_boot_ns=boottime_ns(),
            ttl_ms=100.0,
            mode=mode,
            action=dict(action),
            rest={name: 0.0 if name.endswith("vel") else value for name, value in action.items()},
            rest_ms=100.0,
            chunk=1,
            age_ms=1.0,
            n=1,
            infer_ms=1.0,
            late_us=0.0,
            flags=0,
        )
        self._actions.send(messages.pack_action(replace(message, **other)), zmq.DONTWAIT)

    def cycle(self, mode: Mode, **other: Any) -> Action | None:
        self.send(mode, **other)
        return self.loop.cycle()

    def cycles(self, count: int, mode: Mode, **other: Any) -> None:
        for _ in range(count):
            self.cycle(mode, **other)

    def wait(self) -> None:
        """Cycle in silence."""
        for _ in range(1000):
            self.loop.cycle()

    def connect(self) -> None:
        """Cycle until actions and states arrive."""
        for _ in range(100):
            if self.cycle(Mode.IDLE, action={}) is not None and self._states.poll(100):
                self.state()
                return
        raise AssertionError("nothing arrives")

    def state(self) -> messages.State:
        """The newest that was sent."""
        assert self._states.poll(1000)
        state = b""
        while self._states.poll(0):
            state = self._states.recv()
        return messages.parse_state(state)


@pytest.fixture(params=[SETTINGS])
def rig(request: pytest.FixtureRequest, context: zmq.Context[Any], ports: Ports) -> Iterator[Rig]:
    rig = Rig(context, ports, request.param)
    with rig.link:
        rig.connect()
        yield rig


def test_nothing_is_commanded_in_idle(rig: Rig) -> None:
    for _ in range(5):
        rig.cycle(Mode.IDLE, action={})
    assert rig.arm.commands == []
    assert rig.state().ack_seq > 0


def test_moving_modes_are_followed_and_acknowledged(rig: Rig) -> None:
    for mode in (Mode.ARMED, Mode.HOLD, Mode.FAULT, Mode.STOP):
        rig.arm.commands.clear()
        action = rig.cycle(mode)
        assert action is not None
        assert action.mode is mode
        assert rig.arm.commands == [DRIVEN]
        state = rig.state()
        assert state.ack_seq == action.seq
        assert state.state == {"arm.pos": 0.0, "x.vel": 0.0}


def test_a_speed_is_told_to_be_0_once_when_nothing_is_commanded_any_more(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    for _ in range(3):
        rig.cycle(Mode.IDLE, action={})
    assert rig.arm.commands == [DRIVEN, STANDING]


@pytest.mark.parametrize("rig", [FAST], indirect=True)
def test_silence_ends_in_the_gentle_stop_and_speed_0(rig: Rig) -> None:
    while (action := rig.cycle(Mode.ARMED)) is None or not action.moves:
        pass
    while rig.loop.cycle() is not None:
        pass
    speeds = [command["x.vel"] for command in rig.arm.commands]
    assert speeds == sorted(speeds, reverse=True)
    assert len({*speeds}) > 3
    assert speeds[-1] == 0.0
    assert {command["arm.pos"] for command in rig.arm.commands} == {0.5}


def test_a_speed_that_could_not_be_told_0_is_told_again(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    rig.arm.ill = 2
    for _ in range(4):
        rig.cycle(Mode.IDLE, action={})
    assert [command["x.vel"] for command in rig.arm.commands] == [0.3, 0.0, 0.0, 0.0]


def test_what_failed_half_way_is_told_to_stand_too(rig: Rig) -> None:
    rig.arm.ill = 1
    rig.cycle(Mode.ARMED)
    assert rig.state().ack_seq == 0
    rig.loop.stand()
    assert rig.arm.commands[-1] == STANDING


def test_a_0_that_failed_is_told_again_though_the_daemon_commanded_it(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    rig.arm.ill = 1
    rig.cycle(Mode.HOLD, action=STANDING)
    assert rig.loop.stand()
    assert not rig.loop.stand()
    assert rig.arm.commands[1:] == [STANDING, STANDING]


def test_a_0_that_was_broken_into_is_told_again(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    rig.arm.cut = True
    with pytest.raises(CutShort):
        rig.cycle(Mode.HOLD, action=STANDING)
    assert stand_still(rig.loop) == ""
    assert rig.arm.commands[1:] == [STANDING, STANDING]


def test_the_last_command_stands_though_the_bus_fails_now_and_then(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    rig.arm.ill = 3
    assert stand_still(rig.loop) == ""
    assert [command["x.vel"] for command in rig.arm.commands] == [0.3, 0.0, 0.0, 0.0, 0.0]


def test_a_bus_that_is_gone_is_said_at_the_end(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    rig.arm.ill = 1000
    assert stand_still(rig.loop) == "speeds to 0: OSError: no; stop the robot by hand"


def test_a_signal_between_two_tries_does_not_hide_that_wheels_turn(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: float) -> None:
        raise CutShort("SIGINT")

    rig.cycle(Mode.ARMED)
    rig.arm.ill = 1000
    monkeypatch.setattr(rest, "_STAND_AGAIN_S", 0)
    monkeypatch.setattr(rest, "time", SimpleNamespace(monotonic=time.monotonic, sleep=cut))
    assert stand_still(rig.loop) == "speeds to 0: OSError: no; stop the robot by hand"


def test_a_reading_after_one_that_failed_is_no_newer_than_that(rig: Rig) -> None:
    rig.arm.unread = 1
    before_ns = boottime_ns()
    rig.cycle(Mode.ARMED)
    after_ns = boottime_ns()
    rig.cycle(Mode.ARMED)
    assert before_ns <= rig.state().t_boot_ns <= after_ns
    rig.cycle(Mode.ARMED)
    assert rig.state().t_boot_ns > after_ns


def test_a_driver_that_does_not_return_is_said_at_the_end(rig: Rig) -> None:
    rig.cycle(Mode.ARMED)
    rig.arm.cut = True
    assert stand_still(rig.loop) == "speeds to 0: it hangs; stop the robot by hand"


def test_a_short_failure_is_said_once_and_its_end_too(rig: Rig) -> None:
    rig.arm.ill = 3
    for _ in range(5):
        rig.cycle(Mode.ARMED)
    assert rig.loop.failures == 3
    told = [line for line in rig.said if line.startswith("bus: ")]
    assert told[0] == "bus: command: OSError: no"
    assert told[1].startswith("bus: works again after ")
    assert len(told) == 2


@pytest.mark.parametrize("rig", [FAST], indirect=True)
def test_a_failure_that_lasts_is_an_arm_error(rig: Rig) -> None:
    rig.arm.ill = 10_000
    with pytest.raises(ArmError, match=r"bus: command: OSError: no, for 0\.[4-9] s; check power"):
        rig.cycles(1000, Mode.ARMED)


@pytest.mark.parametrize("rig", [FAST], indirect=True)
def test_silence_that_lasts_is_a_link_error(rig: Rig) -> None:
    with pytest.raises(LinkError, match=r"no action for 0\.[4-9] s: it ended, or"):
        rig.wait()


@pytest.mark.parametrize("rig", [FAST], indirect=True)
def test_messages_of_another_robot_are_silence_that_says_why(rig: Rig) -> None:
    with pytest.raises(LinkError, match="these are other's actions, this arm is base"):
        rig.cycles(1000, Mode.ARMED, robot="other")


def test_another_run_of_the_daemon_is_asked_again_what_it_expects(rig: Rig) -> None:
    for _ in range(3):
        rig.cycle(Mode.IDLE, action={}, boot="b1")
    assert rig.restarts == 1
    with pytest.raises(UsageError):
        rig.cycle(Mode.ARMED, boot="b2")
    assert rig.arm.commands == []


def test_modes_and_reasons_are_said_when_they_change(rig: Rig) -> None:
    rig.said.clear()
    rig.cycle(Mode.HOLD, reason="camera front is stale")
    rig.cycle(Mode.HOLD, reason="camera front is stale for 2 ms")
    rig.cycle(Mode.ARMED)
    assert rig.said == ["HOLD: camera front is stale", "ARMED"]
