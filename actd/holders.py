"""Which processes have a device open, listen on a port, or run a module, from /proc.

As far as this user may see: other users' open files are seen by root only.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

_LISTEN = "0A"
_TABLES = ("net/tcp", "net/tcp6")
_LONGEST = 60


class Holder(NamedTuple):
    """A process and its name."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def holders(nodes: Iterable[Path], proc: Path = Path("/proc")) -> dict[Path, tuple[Holder, ...]]:
    """Node -> the processes that have it open, ourselves left out."""
    by_device = {key: node for node in nodes if (key := _key(node)) is not None}
    by_node: dict[Path, dict[int, Holder]] = {node: {} for node in by_device.values()}
    for process in _processes(proc) if by_device else ():
        if int(process.name) == os.getpid():
            continue
        keys = {key for one in _descriptors(process) if (key := _key(one)) is not None}
        for key in keys & by_device.keys():
            holder = _holder(process)
            by_node[by_device[key]][holder.pid] = holder
    return {node: tuple(by_pid.values()) for node, by_pid in by_node.items()}


def listener(
    port: int, host: str = "127.0.0.1", proc: Path = Path("/proc")
) -> tuple[bool, Holder | None]:
    """Whether anybody listens on TCP `port` of the address `host`, alone or among all addresses,
    and who, None where that is hidden from us.
    """
    own = ip_address(host)
    sockets = {
        f"socket:[{inode}]"
        for address, inode in _listening(port, proc)
        if address.is_unspecified or address == own
    }
    for process in _processes(proc) if sockets else ():
        for descriptor in _descriptors(process):
            with suppress(OSError):
                if os.readlink(descriptor) in sockets:  # noqa: PTH115  it is no path
                    return True, _holder(process)
    return bool(sockets), None


def processes_of(module: str, proc: Path = Path("/proc")) -> tuple[Holder, ...]:
    """The processes whose command line has the word `module`."""
    return tuple(_holder(one) for one in _processes(proc) if module in _words(one))


def _listening(port: int, proc: Path) -> Iterator[tuple[IPv4Address | IPv6Address, str]]:
    """Address and inode of every socket that listens on `port`."""
    for table in _TABLES:
        with suppress(OSError):
            for line in (proc / table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, number = fields[1].rpartition(":")
                if fields[3] == _LISTEN and int(number, 16) == port:
                    yield _address(address), fields[9]


def _address(text: str) -> IPv4Address | IPv6Address:
    """An address as the kernel writes it: words of 32 bits in the processor's order."""
    words = (bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8))
    little = sys.byteorder == "little"
    address = ip_address(b"".join(word[::-1] if little else word for word in words))
    return getattr(address, "ipv4_mapped", None) or address


def _processes(proc: Path) -> list[Path]:
    folders = [folder for folder in proc.iterdir() if folder.name.isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name))


def _descriptors(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # another user's, or it ended
        return []


def _key(path: Path) -> tuple[int, int, int] | None:
    """What two paths to one device have in common, even seen from a container."""
    try:
        status = path.stat()
    except OSError:
        return None
    if stat.S_ISCHR(status.st_mode):
        return (status.st_rdev, 0, 0)
    return (0, status.st_dev, status.st_ino)


def _holder(process: Path) -> Holder:
    """By its name; where that is Python's, as of many a program, by its command line."""
    try:
        name = (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        name = "ended"
    if name.startswith("python"):
        name = " ".join(" ".join(_words(process)).split()) or name
    return Holder(int(process.name), name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…")


def _words(process: Path) -> list[str]:
    try:
        line = (process / "cmdline").read_text("utf-8", "replace")
    except OSError:
        return []
    return [word for word in line.split("\0") if word]
