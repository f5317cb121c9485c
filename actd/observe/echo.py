"""Listening on the wire for people and scripts: what passes, as plain maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import zmq

from actd.errors import LinkError
from actd.link import messages, sockets

_SILENCE_MS = 3000


def messages_of(stream: str, host: str, ports: sockets.Ports | None) -> Iterator[dict[str, Any]]:
    """Messages of `actions` (newest only) or `status` (telemetry), for ever.

    Raises LinkError after three seconds of silence.
    """
    ports = ports or sockets.Ports()
    context: zmq.Context[Any] = zmq.Context()
    number = ports.actions if stream == "actions" else ports.telemetry
    address = sockets.endpoint(host, number)
    try:
        if stream == "actions":
            socket = sockets.newest(context, address)
        else:
            socket = sockets.subscriber(context, address, stream)
        while socket.poll(_SILENCE_MS):
            yield messages.parse_map(socket.recv_multipart()[-1])
        raise LinkError(
            f"{address}: nothing for {_SILENCE_MS / 1000:g} s: is the daemon running? "
            "start it with `actd run actd.yaml`"
        )
    finally:
        context.destroy(linger=0)
