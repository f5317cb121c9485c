"""Loopback ports of a deployment's own, and the lines of actd.yaml that name them."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from dataclasses import asdict

from actd.link.sockets import Ports

HOST = "127.0.0.1"
_RANGE = range(20_000, 30_000)


def free_ports() -> Ports:
    """Ports that nothing listens on, none of which the kernel gives to anyone by itself: an arm
    that waits for its daemon could otherwise connect to itself.
    """
    free: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            free.append(port)
        if len(free) == 4:
            break
    return Ports(*free)


def link_section(ports: Ports, **settings: float) -> str:
    """`link:` of actd.yaml, in one line."""
    values = settings | {f"{name}_port": port for name, port in asdict(ports).items()}
    return f"link: {{{', '.join(f'{key}: {value:g}' for key, value in values.items())}}}"
