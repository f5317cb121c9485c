"""What each process holds, sampled while a daemon runs, and how fast that grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil

MB = 1e6
MEASURES = ("rss_mb", "pss_mb", "shared_mb", "fds", "threads")

Sample = Mapping[str, float]
"""One look at one process: `t_s` and each of MEASURES."""


def look(process: psutil.Process, t_s: float) -> dict[str, float]:
    """What `process` holds now. Raises psutil.NoSuchProcess."""
    memory = process.memory_full_info()
    return {
        "t_s": t_s,
        "rss_mb": memory.rss / MB,
        "pss_mb": memory.pss / MB,
        "shared_mb": _shared_bytes(process.pid) / MB,
        "fds": process.num_fds(),
        "threads": process.num_threads(),
    }


def _shared_bytes(pid: int) -> int:
    """Bytes of address space that are mapped shared: rings, and a recorder's files."""
    total = 0
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        if rights.endswith("s"):
            low, high = (int(end, 16) for end in span.split("-"))
            total += high - low
    return total


def growth(series: Sequence[Sample], measure: str, warm_up_s: float) -> tuple[float, float]:
    """(growth over the time after the warm-up, growth per hour), by a straight line."""
    warm = [sample for sample in series if sample["t_s"] >= warm_up_s]
    times = np.array([sample["t_s"] for sample in warm])
    values = np.array([sample[measure] for sample in warm])
    if len(warm) < 3:
        raise ValueError(f"{len(warm)} samples after the warm-up of {warm_up_s:g} s; run longer")
    slope = float(np.polyfit(times, values, 1)[0])
    return slope * float(times[-1] - times[0]), slope * 3600


def folder_mb(folder: Path) -> float:
    """What the files below `folder` take up on the disk."""
    return sum(f.stat().st_blocks * 512 for f in folder.rglob("*") if f.is_file()) / MB
