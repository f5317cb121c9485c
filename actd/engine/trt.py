"""TensorRT: what it needs, checked in the order in which a user would mend it.

This version builds and runs no TensorRT engine; asking for one is an EngineError
that lists what this computer lacks. Nothing of TensorRT is imported with this module:
its import fails in several ways on a computer without a GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from actd.engine.manifest import Manifest
from actd.errors import EngineError

_IMPORT_ERRORS = (ImportError, OSError, TypeError)


def missing(runtime: str = "trt") -> list[str]:
    """What this computer lacks for TensorRT, each with its remedy; empty when nothing."""
    del runtime
    return [problem for check in _CHECKS if (problem := check())]


def require() -> NoReturn:
    """Raise the EngineError that says why a TensorRT engine cannot be had here."""
    lacking = missing()
    reason = "; ".join(lacking) or "this version of actd does not build TensorRT engines"
    raise EngineError(f"trt: {reason}; use ort-int8 or ort-fp32 meanwhile")


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> NoReturn:
    """The runtime table's entry: no TensorRT engine can be loaded by this version."""
    del folder, manifest, threads, spin
    require()


def _tensorrt() -> str | None:
    try:
        import_module("tensorrt")
    except _IMPORT_ERRORS as error:
        return f"tensorrt cannot be imported ({error}): pip install 'actd[trt]'"
    return None


def _driver() -> str | None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "libcuda.so.1 is missing: install the NVIDIA driver"
    return None


def _gpu() -> str | None:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA GPU is visible: check nvidia-smi"
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return "no NVIDIA GPU is visible: check nvidia-smi"
    return None


def _cuda_python() -> str | None:
    for module in ("pycuda.driver", "cuda.bindings.driver"):
        try:
            import_module(module)
        except _IMPORT_ERRORS:
            continue
        return None
    return "neither pycuda nor cuda-bindings can be imported: pip install 'actd[trt]'"


_CHECKS: tuple[Callable[[], str | None], ...] = (_tensorrt, _driver, _gpu, _cuda_python)
