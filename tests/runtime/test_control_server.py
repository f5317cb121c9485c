"""The control socket over a real ROUTER: what reaches the controller, and what is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from actd.control.state import Event
from actd.control.tick import Answer, Progress
from actd.link import messages, sockets
from actd.link.age import boottime_ns
from actd.mode import Mode
from actd.runtime.control_server import ControlServer
from tests.outputs import output


class Desk:
    """A server, and operators at it."""

    def __init__(self, port: int) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.address = sockets.endpoint("127.0.0.1", port)
        self.server = ControlServer(
            sockets.request_server(self.context, self.address), "blue", "boot-1"
        )

    def ask(self, **request: Any) -> zmq.Socket[bytes]:
        operator = sockets.request_client(self.context, self.address)
        operator.send(messages.pack_map(request))
        return operator

    def read(self, most: int = 3, wait_s: float = 0.3) -> list[tuple[int, Event]]:
        deadline = time.monotonic() + wait_s
        found: list[tuple[int, Event]] = []
        while not found and time.monotonic() < deadline:
            found = self.server.read(most)
            time.sleep(0.005)
        return found


def hear(operator: zmq.Socket[bytes]) -> dict[str, Any]:
    assert operator.poll(3000), "no answer"
    return messages.parse_map(operator.recv())


@pytest.fixture
def desk(ports: sockets.Ports) -> Iterator[Desk]:
    desk = Desk(ports.control)
    yield desk
    desk.context.destroy(linger=0)


def fresh(command: str) -> dict[str, Any]:
    return {"cmd": command, "robot": "blue", "stamp_ns": boottime_ns()}


def test_ping_names_robot_boot_mode_and_time(desk: Desk) -> None:
    operator = desk.ask(cmd="ping")
    assert desk.read() == []
    answer = hear(operator)
    assert (answer["ok"], answer["robot"], answer["boot"], answer["mode"]) == (
        True,
        "blue",
        "boot-1",
        "IDLE",
    )
    assert abs(answer["stamp_ns"] - boottime_ns()) < 5e9


def test_an_order_reaches_the_controller_and_is_answered_with_its_verdict(desk: Desk) -> None:
    operator = desk.ask(**fresh("arm"))
    ((number, event),) = desk.read(wait_s=10)
    assert event is Event.ARM
    desk.server.answer(output(Mode.ARMED, [Answer(number, "", ("waist is unusual",))]))
    answer = hear(operator)
    assert answer["ok"]
    assert answer["mode"] == "ARMED"
    assert answer["warnings"] == ["waist is unusual"]


def test_whoever_asks_is_told_how_far_a_move_has_come(desk: Desk) -> None:
    operator = desk.ask(**fresh("park"))
    ((number, event),) = desk.read(wait_s=10)
    assert event is Event.PARK
    moving = output(Mode.MOVING, [Answer(number, "")], "operator: park", Progress(0.0, 4 * 10**9))
    desk.server.answer(moving)
    answer = hear(operator)
    assert (answer["mode"], answer["reason"]) == ("MOVING", "operator: park")
    assert answer["move"] == {"share": 0.0, "left_s": 4.0}
    desk.server.answer(output(Mode.MOVING, move=Progress(0.25, 3 * 10**9)))
    operator = desk.ask(cmd="ping")
    desk.read()
    assert hear(operator)["move"] == {"share": 0.25, "left_s": 3.0}
    desk.server.answer(output(Mode.HOLD, reason="parked"))
    operator = desk.ask(cmd="ping")
    desk.read()
    answer = hear(operator)
    assert (answer["reason"], "move" in answer) == ("parked", False)


def test_a_refusal_is_told(desk: Desk) -> None:
    operator = desk.ask(**fresh("reset"))
    ((number, _),) = desk.read(wait_s=10)
    desk.server.answer(output(Mode.ARMED, [Answer(number, "armed: hold or stop first")]))
    assert hear(operator)["error"] == "armed: hold or stop first"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"cmd": "arm"}, "needs the robot's name"),
        ({"cmd": "arm", "robot": "blue", "stamp_ns": 1}, "look at the arm"),
        ({"cmd": "park", "robot": "blue", "stamp_ns": 1}, "look at the arm"),
        ({"cmd": "approach"}, "needs the robot's name"),
        ({"cmd": "stop", "robot": "red"}, "this is robot blue"),
        ({"cmd": "status"}, "unknown command 'status'"),
        ({}, "unknown command"),
    ],
)
def test_what_may_not_be_obeyed_never_reaches_the_controller(
    desk: Desk, request_: dict[str, Any], error: str
) -> None:
    operator = desk.ask(**request_)
    assert desk.read() == []
    assert error in hear(operator)["error"]


def test_on_the_way_out_only_stop_is_obeyed(desk: Desk) -> None:
    desk.server.closing = True
    for command in ("arm", "reset", "park", "approach", "hold"):
        operator = desk.ask(**fresh(command))
        assert desk.read() == []
        assert "ending" in hear(operator)["error"]
    operator = desk.ask(cmd="stop")  # held: a socket that is gone may not have sent
    ((_, event),) = desk.read(wait_s=10)
    assert not operator.closed
    assert event is Event.STOP


def test_what_there_is_no_room_for_waits_for_the_next_tick(desk: Desk) -> None:
    operators = [desk.ask(cmd="stop") for _ in range(5)]
    time.sleep(1)
    first = desk.read(3, wait_s=10)
    rest = desk.read(3, wait_s=10)
    assert [len(first), len(rest)] == [3, 2]
    desk.server.answer(output(Mode.STOP, [Answer(number, "") for number, _ in first + rest]))
    assert all(hear(operator)["ok"] for operator in operators)


@pytest.mark.slow
def test_whoever_asks_and_leaves_costs_nothing(desk: Desk) -> None:
    desk.ask(**fresh("arm")).close()
    for number, _ in desk.read(wait_s=10):
        desk.server.answer(output(Mode.IDLE, [Answer(number, "")]))
    operator = desk.ask(cmd="ping")
    desk.read()
    assert hear(operator)["ok"]
