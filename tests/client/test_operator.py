"""The operator against a daemon's two request ports on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from actd.client import Operator
from actd.errors import LinkError
from actd.link import messages, sockets

STAMP_NS = 123_456_789


class Answering:
    """Two ROUTERs that answer as a daemon for `aloha` does, and note what they were asked."""

    def __init__(self, context: zmq.Context[Any], ports: sockets.Ports) -> None:
        self.control: list[dict[str, Any]] = []
        self.status: list[dict[str, Any]] = []
        self.silent: set[str] = set()
        self.rejection = ""
        self._ports = {
            sockets.request_server(context, sockets.endpoint("127.0.0.1", number)): asked
            for number, asked in ((ports.control, self.control), (ports.status, self.status))
        }
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            for socket, asked in self._ports.items():
                if not socket.poll(10):
                    continue
                *route, body = socket.recv_multipart()
                request = messages.parse_map(body)
                asked.append(request)
                if request["cmd"] in self.silent:
                    continue
                answer = {"ok": True, "robot": "aloha", "stamp_ns": STAMP_NS, "mode": "IDLE"}
                if self.rejection and request["cmd"] != "ping":
                    answer |= {"ok": False, "error": self.rejection}
                socket.send_multipart([*route, messages.pack_map(answer)])

    def end(self) -> None:
        self._stopped.set()
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def daemon(context: zmq.Context[Any], ports: sockets.Ports) -> Iterator[Answering]:
    daemon = Answering(context, ports)
    yield daemon
    daemon.end()


@pytest.mark.parametrize("robot", ["", "aloha"])
@pytest.mark.parametrize("command", ["arm", "reset", "park", "approach"])
def test_what_begins_motion_is_stamped_and_names_the_robot(
    daemon: Answering, ports: sockets.Ports, command: str, robot: str
) -> None:
    with Operator(ports=ports, robot=robot) as operator:
        assert getattr(operator, command)()["mode"] == "IDLE"
        assert operator.request(command)["ok"]
    assert [asked["cmd"] for asked in daemon.control] == ["ping", command] * 2
    for order in daemon.control[1::2]:
        assert order == {"v": 1, "cmd": command, "robot": "aloha", "stamp_ns": STAMP_NS}
    assert not daemon.status


@pytest.mark.parametrize("command", ["arm", "reset", "park", "approach"])
def test_another_robot_is_never_armed(
    daemon: Answering, ports: sockets.Ports, command: str
) -> None:
    with (
        Operator(ports=ports, robot="left-bench") as operator,
        pytest.raises(LinkError, match="this is robot aloha, not left-bench"),
    ):
        operator.request(command)
    assert [asked["cmd"] for asked in daemon.control] == ["ping"]


@pytest.mark.parametrize("command", ["hold", "stop"])
def test_what_ends_motion_is_one_message(
    daemon: Answering, ports: sockets.Ports, command: str
) -> None:
    with Operator(ports=ports) as operator:
        getattr(operator, command)()
    with Operator(ports=ports, robot="aloha") as operator:
        getattr(operator, command)()
    assert daemon.control == [
        {"v": 1, "cmd": command},
        {"v": 1, "cmd": command, "robot": "aloha"},
    ]


def test_everything_else_goes_to_the_status_port(daemon: Answering, ports: sockets.Ports) -> None:
    with Operator(ports=ports) as operator:
        operator.hello()
        operator.status()
        operator.record("/sets/cup", "pick the cup", fps=30)
        operator.stop_recording()
        operator.request("histograms")
    assert daemon.status == [
        {"v": 1, "cmd": "hello"},
        {"v": 1, "cmd": "status"},
        {
            "v": 1,
            "cmd": "record",
            "do": "start",
            "path": "/sets/cup",
            "task": "pick the cup",
            "fps": 30,
        },
        {"v": 1, "cmd": "record", "do": "stop"},
        {"v": 1, "cmd": "histograms"},
    ]
    assert not daemon.control


def test_a_status_of_another_robot_is_not_taken_for_this_ones(
    daemon: Answering, ports: sockets.Ports
) -> None:
    with (
        Operator(ports=ports, robot="left-bench") as operator,
        pytest.raises(LinkError, match="this is robot aloha, not left-bench"),
    ):
        operator.status()
    assert daemon.status


def test_a_refusal_is_told(daemon: Answering, ports: sockets.Ports) -> None:
    daemon.rejection = "too far"
    with Operator(ports=ports) as operator:
        for act in (operator.arm, operator.stop, operator.status):
            with pytest.raises(LinkError, match="refused: too far"):
                act()
        with pytest.raises(LinkError, match="arm --from-here refused: too far"):
            operator.approach()


def test_silence_is_told(ports: sockets.Ports) -> None:
    with Operator(ports=ports, timeout_s=0.1) as operator:
        for act in (operator.arm, operator.stop, operator.status):
            with pytest.raises(LinkError, match="no actd answers within 100 ms; if an arm moves"):
                act()


def test_whoever_hears_that_an_order_failed_hears_it_when_it_is_void(
    daemon: Answering, ports: sockets.Ports
) -> None:
    """The daemon obeys for a second after its stamp, however impatient the operator is."""
    daemon.silent = {"arm"}
    with Operator(ports=ports, timeout_s=0.2) as operator:
        began_ns = time.monotonic_ns()
        with pytest.raises(LinkError, match=r"may have been obeyed all the same.*actd status"):
            operator.arm()
    assert time.monotonic_ns() - began_ns > 1_000_000_000
