"""Listening on both streams, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from actd.cli import echo
from actd.errors import LinkError
from actd.link import messages, sockets


@contextmanager
def running(target: Callable[[], None], end: Callable[[], None] = lambda: None) -> Iterator[None]:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end()
        thread.join(5)
    assert not thread.is_alive()


def test_actions_are_listened_to(context: zmq.Context[Any], ports: sockets.Ports) -> None:
    stopped = threading.Event()
    address = sockets.endpoint("127.0.0.1", ports.actions)

    def publish() -> None:
        while not stopped.wait(0.01):
            publisher.send(messages.pack_map({"seq": 7}), zmq.DONTWAIT)

    with sockets.publisher(context, address) as publisher, running(publish, stopped.set):
        found = echo.messages_of("actions", "127.0.0.1", ports)
        assert next(found) == {"v": 1, "seq": 7}
        found.close()  # type: ignore[attr-defined]  # a generator


def test_the_status_is_asked_for_again_and_again(
    context: zmq.Context[Any], ports: sockets.Ports
) -> None:
    address = sockets.endpoint("127.0.0.1", ports.status)

    def serve() -> None:
        for mode in ("IDLE", "ARMED"):
            *route, body = server.recv_multipart()
            assert messages.parse_map(body) == {"v": 1, "cmd": "status"}
            server.send_multipart([*route, messages.pack_map({"ok": True, "mode": mode})])

    with sockets.request_server(context, address) as server, running(serve):
        found = echo.messages_of("status", "127.0.0.1", ports)
        assert [next(found)["mode"], next(found)["mode"]] == ["IDLE", "ARMED"]
        found.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize("stream", ["actions", "status"])
def test_silence_ends_with_what_to_do(ports: sockets.Ports, stream: str) -> None:
    with pytest.raises(LinkError, match=r"start .* with `actd run"):
        next(echo.messages_of(stream, "127.0.0.1", ports))
