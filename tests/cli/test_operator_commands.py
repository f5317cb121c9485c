"""`arm`, `hold`, `stop`, `reset` and `status`: which robot they reach, and what they say."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from actd.control.state import Event
from actd.control.tick import Answer
from actd.link import sockets
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.runtime.control_server import ControlServer
from actd.runtime.status_server import StatusServer
from tests.cli.test_cli import actd
from tests.outputs import output
from tests.ports import link_section

MODES = {
    Event.ARM: Mode.ARMED,
    Event.HOLD: Mode.HOLD,
    Event.STOP: Mode.STOP,
    Event.RESET: Mode.IDLE,
}


@contextmanager
def orders_of(
    robot: str, port: int, error: str = "", warnings: tuple[str, ...] = ()
) -> Iterator[list[Event]]:
    """The control socket of a daemon that obeys: what it was ordered."""
    context: zmq.Context[Any] = zmq.Context()
    server = ControlServer(
        sockets.request_server(context, sockets.endpoint("127.0.0.1", port)), robot, "b00t"
    )
    orders: list[Event] = []
    ended = threading.Event()

    def serve() -> None:
        mode = Mode.IDLE
        while not ended.is_set():
            read = server.read(8)
            orders.extend(event for _, event in read)
            mode = MODES[orders[-1]] if orders else mode
            server.answer(output(mode, [Answer(number, error, warnings) for number, _ in read]))
            time.sleep(0.002)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield orders
    finally:
        ended.set()
        thread.join()
        context.destroy(linger=0)


def deployment(folder: Path, ports: Ports, name: str = "window", more: str = "") -> Path:
    file = folder / "actd.yaml"
    file.write_text(f"robot: {{name: {name}}}\n{link_section(ports)}\n{more}")
    return file


@pytest.mark.parametrize(
    ("command", "event"),
    [("arm", Event.ARM), ("hold", Event.HOLD), ("stop", Event.STOP), ("reset", Event.RESET)],
)
def test_a_command_goes_to_the_robot_of_this_folder(
    command: str, event: Event, ports: Ports, tmp_path: Path
) -> None:
    deployment(tmp_path, ports)
    # The other one's orders come where nothing of this one listens to orders.
    with orders_of("window", ports.control) as mine, orders_of("door", ports.state) as others:
        done = actd(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{command}: done; window is {MODES[event].name}\n"
    assert (mine, others) == ([event], [])


def test_config_goes_before_the_folder(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    deployment(tmp_path / "here", ports, name="here")
    file = deployment(tmp_path, ports)
    with orders_of("window", ports.control) as orders:
        done = actd("stop", "--config", file, cwd=tmp_path / "here")
    assert done.stdout == "stop: done; window is STOP\n"
    assert orders == [Event.STOP]


@pytest.mark.parametrize("command", ["arm", "hold", "stop", "reset"])
def test_another_robot_on_these_ports_is_left_alone(
    command: str, ports: Ports, tmp_path: Path
) -> None:
    deployment(tmp_path, ports)
    with orders_of("door", ports.control) as orders:
        done = actd(command, cwd=tmp_path)
    assert done.returncode == 1
    assert "door" in done.stderr
    assert "window" in done.stderr
    assert "check --config" in done.stderr
    assert orders == []


def test_what_is_unusual_is_said_beside_the_answer(ports: Ports, tmp_path: Path) -> None:
    deployment(tmp_path, ports)
    said = ("joint elbow is at 2, training never left -1 to 1",)
    with orders_of("window", ports.control, warnings=said):
        done = actd("arm", cwd=tmp_path)
    assert done.stdout == "arm: done; window is ARMED\n"
    assert done.stderr == f"warning: {said[0]}\n"
    with orders_of("window", ports.control, error="camera top is 900 ms old"):
        done = actd("arm", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "arm refused: camera top is 900 ms old" in done.stderr


@pytest.mark.parametrize("more", ["cameras: {top: {type: opnecv}}\n", "cameras: {top: [\n"])
@pytest.mark.parametrize("command", ["arm", "stop"])
def test_a_mistake_elsewhere_in_the_file_keeps_nobody_waiting(
    command: str, more: str, ports: Ports, tmp_path: Path
) -> None:
    deployment(tmp_path, ports, more=more)
    with orders_of("window", ports.control) as orders:
        done = actd(command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(orders) == 1


def test_a_stop_needs_no_name_and_an_arm_does(ports: Ports, tmp_path: Path) -> None:
    deployment(tmp_path, ports, name="the window")
    problem = "actd.yaml:1:9 robot.name: use 1 to 64 of the characters"
    with orders_of("window", ports.control) as orders:
        for command in ("arm", "reset"):
            done = actd(command, cwd=tmp_path)
            assert done.returncode == 78
            assert problem in done.stderr
        assert orders == []
        for command in ("hold", "stop"):
            done = actd(command, cwd=tmp_path)
            assert done.returncode == 0
            assert problem in done.stderr
            assert f"going on with whatever robot is there at port {ports.control}" in done.stderr
    assert orders == [Event.HOLD, Event.STOP]


def test_a_file_that_is_named_and_not_there(tmp_path: Path) -> None:
    done = actd("stop", "--config", tmp_path / "none.yaml")
    assert done.returncode == 78
    assert "no such file" in done.stderr


def test_status_says_when_it_is_of_another_robot(ports: Ports, tmp_path: Path) -> None:
    deployment(tmp_path, ports)
    replies = {"status": lambda _: {"mode": "IDLE"}, "histograms": lambda _: {}}
    ended = threading.Event()

    async def serve() -> None:
        with zmq.asyncio.Context() as context:
            address = sockets.endpoint("127.0.0.1", ports.status)
            socket = sockets.request_server(context, address)
            server = StatusServer(replies, {"robot": "door"})
            task = asyncio.ensure_future(server.serve(socket))
            while not ended.is_set():
                await asyncio.sleep(0.01)
            task.cancel()
            socket.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        done = actd("status", "--json", cwd=tmp_path)
    finally:
        ended.set()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert '"robot": "door"' in done.stdout
    assert done.stderr == "warning: this is door, not window; check --config and the ports\n"
