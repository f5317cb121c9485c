"""What this computer is, as far as an engine depends on it: CPU, flags, package versions.

Reads /proc/cpuinfo and package metadata; what cannot be read is unknown, never an error.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})

_FLAGS = VNNI_FLAGS | BF16_FLAGS | {"avx2", "avx512f", "asimddp", "i8mm"}
_CPUINFO = Path("/proc/cpuinfo")


def cpu() -> tuple[str, tuple[str, ...]]:
    """The CPU's name and those of its features that engines depend on."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    pairs = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    flags = (pairs.get("flags") or pairs.get("Features") or "").split()
    model = pairs.get("model name") or platform.processor() or platform.machine()
    return model, tuple(sorted(_FLAGS & set(flags)))


def is_x86() -> bool:
    """Whether 8-bit sums saturate here unless the CPU has VNNI."""
    return platform.machine().lower() in ("x86_64", "amd64")


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers itself."""
    return bool(BF16_FLAGS & set(cpu()[1]))


def version(package: str) -> str | None:
    """The installed version of a package, None without it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def onnxruntime_version() -> str | None:
    """ONNX Runtime's version, from whichever of its packages is installed."""
    return version("onnxruntime") or version("onnxruntime-gpu")
