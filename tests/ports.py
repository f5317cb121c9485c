"""Loopback ports of a deployment's own, and the lines of actd.yaml that name them."""

from __future__ import annotations

from dataclasses import asdict

from actd.link.sockets import LOOPBACK, Ports, free_ports

__all__ = ["HOST", "free_ports", "link_section"]
HOST = LOOPBACK[0]


def link_section(ports: Ports, **settings: float) -> str:
    """`link:` of actd.yaml, in one line."""
    values = settings | {f"{name}_port": port for name, port in asdict(ports).items()}
    return f"link: {{{', '.join(f'{key}: {value:g}' for key, value in values.items())}}}"
