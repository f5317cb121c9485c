"""Where the daemon listens and writes: its ports, and the folder of its flights."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from actd.config import Config
from actd.doctor.facts import Disk, PortHere
from actd.flightlog.reader import default_flights
from actd.holders import listener
from actd.link.sockets import LOOPBACK, Ports


def read_ports(
    host: str, ports: Ports, config: Config | None, root: Path = Path("/")
) -> list[PortHere]:
    """Who listens on each of `ports`, and on that of the page where one is served."""
    numbers: dict[str, int] = asdict(ports)
    if config is not None and config.dashboard.enabled:
        numbers["dashboard"] = config.dashboard.port
    address = LOOPBACK[0] if host == "localhost" else host
    return [
        PortHere(name, number, *listener(number, address, root / "proc"))
        for name, number in numbers.items()
    ]


def read_disk(config: Config) -> Disk | None:
    """The disk that flights go to, None where none are recorded."""
    if not config.flight.enabled:
        return None
    folder = (config.flight.folder or default_flights()).absolute()
    try:
        place = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Disk(str(folder), 0.0, 0.0, f"{folder}: {error.strerror}")
    if not place.is_dir():
        return Disk(str(folder), 0.0, 0.0, f"{place} is no folder")
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return Disk(str(folder), 0.0, 0.0, f"{place} must not be written by this user")
    most_mb = config.flight.max_mb + (config.keep.max_mb if config.keep.enabled else 0)
    used = 0
    for file in folder.glob("*/**/*"):
        with suppress(OSError):  # a running daemon removes its oldest
            used += file.stat().st_size
    return Disk(
        folder=str(folder),
        free_mb=free / 1e6,
        needed_mb=max(0.0, (most_mb * 2**20 - used) / 1e6),
    )
