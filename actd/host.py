"""This computer: what engines depend on, and what a reader of a figure needs to compare it.

The one reader of /proc/cpuinfo; also reads /sys, package metadata, git and nvidia-smi. A fact
that cannot be read is None or unknown, never an error.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from actd import __version__

VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
CPU_FLAGS = (*sorted(VNNI_FLAGS | BF16_FLAGS), "asimddp", "avx2", "avx512f", "i8mm")
"""The CPU features that engines depend on."""

# Fact -> distributions that provide it; the first one installed gives the version.
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy",),
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
    "opencv": ("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
}

_LIBC = ctypes.CDLL(None)  # loaded now: a forked child should load nothing
_PR_SET_PDEATHSIG = 1
_CPUINFO = Path("/proc/cpuinfo")
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_PRODUCT = Path("/sys/class/dmi/id")
_GPU_FACTS = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit"


def cpu() -> tuple[str, tuple[str, ...]]:
    """The CPU's name and those of its features that engines depend on."""
    facts = _cpu_facts()
    return _cpu_model(facts) or platform.machine(), tuple(_cpu_flags(facts) or ())


def is_x86() -> bool:
    """Whether 8-bit sums saturate here unless the CPU has VNNI."""
    return platform.machine().lower() in ("x86_64", "amd64")


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers itself."""
    return bool(BF16_FLAGS & set(cpu()[1]))


def version(*distributions: str) -> str | None:
    """The version of the first of these packages that is installed, None without any."""
    for name in distributions:
        try:
            return metadata.version(name)
        except (metadata.PackageNotFoundError, KeyError, OSError):
            continue
    return None


def onnxruntime_version() -> str | None:
    """ONNX Runtime's version, from whichever of its packages is installed."""
    return version("onnxruntime", "onnxruntime-gpu")


def machine() -> dict[str, Any]:
    """The envelope that goes with every figure."""
    facts = _cpu_facts()
    return {
        "cpu": _cpu_model(facts) or None,
        "cores": _try(lambda: len(os.sched_getaffinity(0))),
        "cpu_flags": _cpu_flags(facts),
        "cpu_mhz": _try(lambda: _mhz(facts)),
        "governor": _try(lambda: (_FREQUENCY / "scaling_governor").read_text().strip()),
        "memory_gb": _try(_memory_gb),
        "virtual": _virtual(facts),
        "kernel": platform.release(),
        "load_1min": _try(lambda: round(os.getloadavg()[0], 2)),
        "gpu": _nvidia(_GPU_FACTS),
        "python": platform.python_version(),
        "versions": {"actd": __version__}
        | {fact: version(*names) for fact, names in PACKAGES.items()},
        "git": _git_revision(),
        "utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def end_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)


def gpu_used_mb() -> float | None:
    """Memory in use on the first NVIDIA GPU in MB (10^6 bytes), by whatever process."""
    answer = _nvidia("memory.used", "nounits")
    # one that shares the computer's memory answers [N/A]
    return None if answer is None else _try(lambda: float(answer.splitlines()[0]) * 2**20 / 1e6)


def gpu_facts(*facts: str) -> list[str] | None:
    """What nvidia-smi says of the first NVIDIA GPU, a text for each fact; None without one."""
    answer = _nvidia(",".join(facts))
    values = answer.splitlines()[0].split(", ") if answer else []
    return values if len(values) == len(facts) else None


def _try(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, ValueError, AttributeError):
        return None


def _cpu_facts() -> dict[str, str]:
    text = _try(_CPUINFO.read_text) or ""
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_model(facts: Mapping[str, str]) -> str:
    return facts.get("model name") or platform.processor()


def _words(cpu: Mapping[str, str]) -> list[str] | None:
    line = cpu.get("flags") or cpu.get("Features")  # x86 and arm name the same line differently
    return None if line is None else line.split()


def _cpu_flags(cpu: Mapping[str, str]) -> list[str] | None:
    words = _words(cpu)
    return None if words is None else [flag for flag in CPU_FLAGS if flag in words]


def _mhz(cpu: Mapping[str, str]) -> int:
    """The frequency now; a virtual machine tells the nominal one."""
    kilohertz = _try((_FREQUENCY / "scaling_cur_freq").read_text)
    return round(int(kilohertz) / 1000 if kilohertz else float(cpu.get("cpu MHz", "")))


def _virtual(cpu: Mapping[str, str]) -> str | None:
    """What the machine is virtual on, None when nothing says that it is."""
    if "hypervisor" not in (_words(cpu) or ()):
        return None
    names = (_try((_PRODUCT / name).read_text) for name in ("sys_vendor", "product_name"))
    return " ".join(name.strip() for name in names if name and name.strip()) or "hypervisor"


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _git_revision() -> str | None:
    """The checkout this package runs from, `-dirty` when edited; None for an installed package."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    return _output("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12")


def _nvidia(facts: str, *more: str) -> str | None:
    """One line per GPU, as nvidia-smi prints it."""
    shape = ",".join(("csv", "noheader", *more))
    return _output("nvidia-smi", f"--query-gpu={facts}", f"--format={shape}")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
