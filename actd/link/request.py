"""One request and its answer, on the control or the status port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from actd.errors import LinkError
from actd.link import messages, sockets

START = (
    "if an arm moves, use its hardware stop; else start one with `actd run actd.yaml`, or check "
    "host and port"
)
"""What to do when nobody answers."""
_TYPED = {"approach": "arm --from-here"}
"""What an operator types where that is not the command on the wire."""


def request(
    context: zmq.Context[Any],
    address: str,
    command: str,
    timeout_ms: int,
    *,
    remedy: str = START,
    **fields: Any,
) -> dict[str, Any]:
    """Send one command and return the answer. Raises LinkError on refusal or silence.

    remedy: what to do about silence.
    """
    # A REQ socket is stuck after a lost answer, so every request has a fresh one.
    socket = sockets.request_client(context, address)
    try:
        socket.send(messages.pack_map({"cmd": command, **fields}))
        if not socket.poll(timeout_ms, zmq.POLLIN):
            raise LinkError(f"{address}: no actd answers within {timeout_ms} ms; {remedy}")
        answer = messages.parse_map(socket.recv())
    finally:
        socket.close()
    if not answer.get("ok"):
        words = _TYPED.get(command, command)
        raise LinkError(f"{words} refused: {answer.get('error', 'no reason given')}")
    return answer


@contextmanager
def as_sent() -> Iterator[None]:
    """Around the use of a daemon's answer: one that is not as we know it is a LinkError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise LinkError(
            f"the daemon's answer is none that this actd knows ({cause}); install the same version "
            "on both ends"
        ) from None
