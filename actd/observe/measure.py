"""How anything here is timed: interleaved rounds, tails, and the machine they were taken on.

Owns the only timing loop of the project, so that two figures are always comparable.
Reads the clock it is given and, for the envelope, /proc, /sys, git and nvidia-smi; gives plain
numbers. A candidate's exception passes through untouched; a fact of the machine that cannot be
read is None.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp")

# Fact -> distributions that provide it; the first one installed gives the version.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy",),
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
    "opencv": ("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
}

_CPU = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True, slots=True)
class Tails:
    """What a set of durations looks like: the middle and the worst, in milliseconds.

    The tails are durations that happened, not interpolated ones: with fewer than 1000 samples
    `p999_ms` is the maximum.
    """

    n: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    def to_dict(self) -> dict[str, float]:
        """Plain JSON data."""
        return asdict(self)


def tails(samples_ns: Sequence[int] | NDArray[Any]) -> Tails:
    """Summarise durations in nanoseconds. Raises ValueError when there are none."""
    if len(samples_ns) == 0:
        raise ValueError("no samples to summarise")
    ms = np.asarray(samples_ns, dtype=np.float64) / 1e6
    p99, p999 = np.percentile(ms, (99, 99.9), method="higher")
    return Tails(
        n=len(ms),
        mean_ms=float(ms.mean()),
        p50_ms=float(np.median(ms)),
        p99_ms=float(p99),
        p999_ms=float(p999),
        max_ms=float(ms.max()),
    )


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 3,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, list[int]]:
    """Time each candidate once a round; returns its durations in nanoseconds, in round order.

    Every round runs all candidates, each round beginning with the next one, so that a machine
    that grows slower or warmer does so for all of them. Warm-up rounds are run and forgotten.
    """
    names = list(candidates)
    samples: dict[str, list[int]] = {name: [] for name in names}
    for number in range(-warmup, rounds):
        first = number % max(len(names), 1)
        for name in names[first:] + names[:first]:
            call = candidates[name]
            start_ns = clock()
            call()
            elapsed_ns = clock() - start_ns
            if number >= 0:
                samples[name].append(elapsed_ns)
    return samples


def machine() -> dict[str, Any]:
    """The envelope that goes with every figure; a fact that cannot be read is None."""
    cpu = _cpu_facts()
    return {
        "cpu": cpu.get("model name") or platform.processor() or None,
        "cores": _try(lambda: len(os.sched_getaffinity(0))),
        "cpu_flags": _cpu_flags(cpu),
        "memory_gb": _try(_memory_gb),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {fact: _version(names) for fact, names in PACKAGES.items()},
        "governor": _try(lambda: _GOVERNOR.read_text().strip()),
        "load_1min": _try(lambda: round(os.getloadavg()[0], 2)),
        "git": _git_revision(),
        "gpu": _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
    }


def _try(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, ValueError, AttributeError):
        return None


def _cpu_facts() -> dict[str, str]:
    text = _try(_CPU.read_text) or ""
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_flags(cpu: Mapping[str, str]) -> list[str] | None:
    line = cpu.get("flags") or cpu.get("Features")  # x86 and arm name the same line differently
    return None if line is None else [flag for flag in CPU_FLAGS if flag in line.split()]


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _version(distributions: Sequence[str]) -> str | None:
    for name in distributions:
        try:
            return metadata.version(name)
        except (metadata.PackageNotFoundError, KeyError, OSError):
            continue
    return None


def _git_revision() -> str | None:
    """The checkout this package runs from, `-dirty` when edited; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    return _output("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


__all__ = ["CPU_FLAGS", "PACKAGES", "Tails", "interleave", "machine", "tails"]
