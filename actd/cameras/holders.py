"""Which processes have a device open, as far as this user may see."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Holder(NamedTuple):
    """A process and its name."""

    pid: int
    name: str


def holders(nodes: Iterable[Path], proc: Path = Path("/proc")) -> dict[Path, tuple[Holder, ...]]:
    """Node -> the processes that have it open, ourselves left out.

    Other users' processes are seen by root only.
    """
    by_device = {key: node for node in nodes if (key := _key(node)) is not None}
    found: dict[Path, dict[int, Holder]] = {node: {} for node in by_device.values()}
    for process in proc.iterdir() if by_device else ():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        for key in set(_open_in(process)) & by_device.keys():
            pid = int(process.name)
            found[by_device[key]][pid] = Holder(pid, _name(process))
    return {node: tuple(by_pid.values()) for node, by_pid in found.items()}


def _open_in(process: Path) -> Iterator[tuple[int, int, int]]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # another user's, or it ended
        return
    for descriptor in descriptors:
        if (key := _key(descriptor)) is not None:
            yield key


def _key(path: Path) -> tuple[int, int, int] | None:
    """What two paths to one device have in common, even seen from a container."""
    try:
        found = path.stat()
    except OSError:
        return None
    if stat.S_ISCHR(found.st_mode):
        return (found.st_rdev, 0, 0)
    return (0, found.st_dev, found.st_ino)


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "ended"
