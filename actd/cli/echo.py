"""Listening on the wire for people and scripts: what passes, as plain maps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import zmq

from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.request import request

_SILENCE_MS = 3000
_STATUS_S = 1.0


def messages_of(stream: str, host: str, ports: sockets.Ports | None) -> Iterator[dict[str, Any]]:
    """Messages of `actions` (newest only), or the `status` once a second, for ever.

    Raises LinkError after three seconds of silence.
    """
    ports = ports or sockets.Ports()
    context: zmq.Context[Any] = zmq.Context()
    try:
        if stream == "actions":
            yield from _actions(context, sockets.endpoint(host, ports.actions))
        else:
            yield from _answers(context, sockets.endpoint(host, ports.status), stream)
    finally:
        context.destroy(linger=0)


def _actions(context: zmq.Context[Any], address: str) -> Iterator[dict[str, Any]]:
    with sockets.newest(context, address) as socket:
        while socket.poll(_SILENCE_MS):
            yield messages.parse_map(socket.recv())
    raise LinkError(
        f"{address}: nothing for {_SILENCE_MS / 1000:g} s: is the daemon running? "
        "start it with `actd run actd.yaml`"
    )


def _answers(context: zmq.Context[Any], address: str, command: str) -> Iterator[dict[str, Any]]:
    while True:
        yield request(context, address, command, _SILENCE_MS)
        time.sleep(_STATUS_S)
