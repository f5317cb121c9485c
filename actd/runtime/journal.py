"""journald's native protocol: one datagram of fields per entry, as systemd lays it down.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
_SEND_TIMEOUT_S = 0.2


def is_journal(descriptor: int) -> bool:
    """Whether what is written to `descriptor` goes to the journal, which then has fields too."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def entry(fields: Mapping[str, str]) -> bytes:
    """The datagram. A value with a line end in it is preceded by its length."""
    return b"".join(_field(name, value.encode(errors="replace")) for name, value in fields.items())


def send(fields: Mapping[str, str], address: str = SOCKET) -> None:
    """Hand over one entry. Raises OSError, also where the journal does not take it in time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(_SEND_TIMEOUT_S)
        sender.sendto(entry(fields), address)


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
