"""What goes wrong with an address, in words."""

from __future__ import annotations

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


def test_an_impossible_address_is_named(context: zmq.Context[Any]) -> None:
    with pytest.raises(LinkError, match=r"tcp://999\.1\.1\.1"):
        sockets.publisher(context, "tcp://999.1.1.1:1")


def test_an_ipv6_address_gets_its_brackets() -> None:
    assert sockets.endpoint("::1", 9871) == "tcp://[::1]:9871"
