"""How each stream's socket is set up: the only place with ZeroMQ options.

Actions keep the newest value and no queue: the receiver conflates, the sender's high water
mark is 1, and linger is 0 so that closing never waits. Message size is bounded before a byte
is parsed.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import zmq

from actd.errors import LinkError
from actd.link.messages import MAX_BYTES

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UNUSED = range(20_000, 30_000)
_OTHER_PORTS = "choose other ports under `link:`"
_STATES_MAX = 64
_EVERY_MAX = 4096
_COMMON = {
    zmq.LINGER: 0,
    zmq.MAXMSGSIZE: MAX_BYTES,
    zmq.IPV6: 1,
    # A peer that vanished without closing (cable, power) is noticed within three seconds, by the
    # kernel: at ZeroMQ's own heartbeats either end aborts whose connection broke while its input
    # waited (libzmq #4364), and this may be the process that holds the arm.
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 1,
    zmq.TCP_KEEPALIVE_INTVL: 1,
    zmq.TCP_KEEPALIVE_CNT: 2,
}


_Options = Mapping[int, int | bytes]
_NO_OPTIONS: _Options = {}


@dataclass(frozen=True)
class Ports:
    """TCP ports of schema v1, on one host."""

    state: int = 9871
    actions: int = 9872
    status: int = 9873
    control: int = 9874


def free_ports() -> Ports:
    """Ports of loopback that nothing listens on, for a daemon beside the one of the robot.

    None of which the kernel gives to anyone by itself: an arm that waits for its daemon could
    otherwise connect to itself.
    """
    free: list[int] = []
    for port in random.sample(_UNUSED, len(_UNUSED)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK[0], port))
            free.append(port)
        if len(free) == 4:
            break
    return Ports(*free)


def endpoint(host: str, port: int) -> str:
    """`tcp://host:port`, with brackets round an IPv6 address."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def publisher(
    context: zmq.Context[Any], address: str, remedy: str = _OTHER_PORTS
) -> zmq.Socket[bytes]:
    """A bound PUB that keeps one message per subscriber (the daemon's actions).

    remedy: what to do where another program listens there.
    """
    return _bind(context, address, zmq.PUB, {zmq.SNDHWM: 1}, remedy)


def newest(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """A connected SUB that keeps only the newest message of a single-part stream."""
    return _connect(context, address, zmq.SUB, {zmq.CONFLATE: 1, zmq.SUBSCRIBE: b""})


def every(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """A connected SUB that keeps every message of a single-part stream, for who draws it.

    A receiver that is too slow loses the newest ones once its queue is full.
    """
    return _connect(context, address, zmq.SUB, {zmq.RCVHWM: _EVERY_MAX, zmq.SUBSCRIBE: b""})


def sender(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """A connected PUB for one single-part stream (the robot's state)."""
    return _connect(context, address, zmq.PUB, {zmq.SNDHWM: 1})


def state_receiver(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """A bound SUB with a short queue: the newest message alone would hide a second sender."""
    return _bind(context, address, zmq.SUB, {zmq.RCVHWM: _STATES_MAX, zmq.SUBSCRIBE: b""})


def request_server(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """A bound ROUTER that answers requests, of control or of status."""
    return _bind(context, address, zmq.ROUTER)


def request_client(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """A connected REQ for one request."""
    return _connect(context, address, zmq.REQ)


def _bind(
    context: zmq.Context[Any],
    address: str,
    kind: int,
    options: _Options = _NO_OPTIONS,
    remedy: str = _OTHER_PORTS,
) -> zmq.Socket[bytes]:
    socket = _socket(context, kind, options)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        if error.errno == zmq.EADDRINUSE:
            raise LinkError(f"{address}: port in use{_by(address)}; stop it, or {remedy}") from None
        raise LinkError(
            f"{address}: cannot listen here ({str(error.strerror).partition(' (')[0]}); "
            "see that it is an address of this computer"
        ) from None
    return socket


def _by(address: str) -> str:
    """Who listens there, as far as we may see."""
    from actd.holders import listener

    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        _, holder = listener(int(port), "127.0.0.1" if host == "localhost" else host.strip("[]"))
    except (OSError, ValueError):
        holder = None
    return f" by {holder}" if holder else ", probably by another user's actd"


def _connect(
    context: zmq.Context[Any], address: str, kind: int, options: _Options = _NO_OPTIONS
) -> zmq.Socket[bytes]:
    socket = _socket(context, kind, options)
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close()
        raise LinkError(f"{address}: not an address ZeroMQ can use: {error.strerror}") from None
    return socket


def _socket(context: zmq.Context[Any], kind: int, options: _Options) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = context.socket(kind)
    for option, value in (*_COMMON.items(), *options.items()):
        socket.setsockopt(option, value)
    return socket
