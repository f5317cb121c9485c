"""A daemon's end of the wire, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from actd.link import sockets


@pytest.fixture
def ports(free_ports: list[int]) -> sockets.Ports:
    return sockets.Ports(*free_ports)


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    context: zmq.Context[Any] = zmq.Context()
    yield context
    context.destroy(linger=0)
