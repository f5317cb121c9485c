"""What goes wrong with an address, in words."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
import zmq

from actd.errors import LinkError
from actd.link import sockets


@pytest.mark.parametrize(
    "bind", [sockets.publisher, sockets.state_receiver, sockets.request_server]
)
def test_a_port_in_use_is_named(context: zmq.Context[Any], ports: sockets.Ports, bind: Any) -> None:
    address = sockets.endpoint("127.0.0.1", ports.state)
    with bind(context, address), pytest.raises(LinkError, match=f"{address}: port in use"):
        bind(context, address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_who_has_the_port_is_named(context: zmq.Context[Any], host: str) -> None:
    with socket.socket(socket.AF_INET6 if host == "::1" else socket.AF_INET) as other:
        other.bind((host, 0))
        other.listen()
        address = sockets.endpoint(host, other.getsockname()[1])
        with pytest.raises(LinkError) as error:
            sockets.publisher(context, address)
    assert f"{address}: port in use by " in str(error.value)
    assert f"(pid {os.getpid()}); stop it, or choose other ports" in str(error.value)


def test_an_impossible_address_is_named(context: zmq.Context[Any]) -> None:
    with pytest.raises(LinkError, match=r"tcp://999\.1\.1\.1"):
        sockets.publisher(context, "tcp://999.1.1.1:1")


def test_an_ipv6_address_gets_its_brackets() -> None:
    assert sockets.endpoint("::1", 9871) == "tcp://[::1]:9871"
