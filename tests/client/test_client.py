"""The client against real sockets on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from actd.client import Mode, Operator, Robot
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.messages import Action


@pytest.fixture
def ports(free_ports: list[int]) -> sockets.Ports:
    return sockets.Ports(*free_ports)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(linger=0)


def action(seq: int, ttl_ms: float = 200.0) -> Action:
    return Action(
        seq, 0.0, time.monotonic_ns(), ttl_ms, Mode.ARMED, {"j": float(seq)}, 1, 1.0, 1, 1.0, 0.0, 0
    )


def test_a_robot_gets_the_newest_action_until_it_expires(
    context: zmq.Context[zmq.Socket[bytes]], ports: sockets.Ports
) -> None:
    publisher = sockets.publisher(context, sockets.endpoint("127.0.0.1", ports.actions))
    with Robot(ports=ports) as robot:
        assert publisher.poll(2000)  # the subscription has arrived
        for seq in range(1, 20):
            publisher.send(messages.pack_action(action(seq)))
            time.sleep(0.01)
        time.sleep(0.1)
        newest = robot.receive(1.0)
        assert newest is not None
        assert newest.seq == 19
        publisher.send(b"junk")
        time.sleep(0.05)
        assert robot.receive(1.0) is newest
        assert robot.rejected == 1
        time.sleep(0.25)
        assert robot.current() is None


def test_state_reaches_the_daemon(
    context: zmq.Context[zmq.Socket[bytes]], ports: sockets.Ports
) -> None:
    states = sockets.newest(context, sockets.endpoint("127.0.0.1", ports.state), bind=True)
    with Robot(ports=ports) as robot:
        for _ in range(200):
            robot.send_state({"j": 0.5}, env=[1.0])
            if states.poll(10):
                break
        state = messages.parse_state(states.recv(zmq.DONTWAIT))
    assert state.state == {"j": 0.5}
    assert state.env == (1.0,)


def test_an_operator_hears_refusals_and_silence(
    context: zmq.Context[zmq.Socket[bytes]], ports: sockets.Ports
) -> None:
    with (
        Operator(ports=ports, timeout_s=0.2) as operator,
        pytest.raises(LinkError, match="no actd answers"),
    ):
        operator.ping()

    server = sockets.control_server(context, sockets.endpoint("127.0.0.1", ports.control))

    def serve() -> None:
        for reply in ({"ok": True, "mode": "IDLE"}, {"ok": False, "error": "too far"}):
            *route, _ = server.recv_multipart()
            server.send_multipart([*route, messages.pack_map(reply)])

    thread = threading.Thread(target=serve)
    thread.start()
    with Operator(ports=ports) as operator:
        assert operator.status()["mode"] == "IDLE"
        with pytest.raises(LinkError, match="arm refused: too far"):
            operator.arm()
    thread.join(5)
    assert not thread.is_alive()


def test_a_port_in_use_is_named(
    context: zmq.Context[zmq.Socket[bytes]], ports: sockets.Ports
) -> None:
    address = sockets.endpoint("127.0.0.1", ports.actions)
    first = sockets.publisher(context, address)  # unnamed, it would be collected and closed
    with pytest.raises(LinkError, match=f"{address}: port in use"):
        sockets.publisher(context, address)
    assert not first.closed


def test_an_impossible_address_is_named(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with pytest.raises(LinkError, match=r"tcp://999\.1\.1\.1"):
        sockets.publisher(context, "tcp://999.1.1.1:1")
