"""What TensorRT needs, checked in the order in which a user would fix it.

Importing this module does not import TensorRT, which fails in several ways on a computer without a
GPU. Missing parts are an EngineError that lists them with their remedies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import import_module
from typing import Any

from actd.engine.cuda.driver import IMPORT_ERRORS
from actd.engine.cuda.libcuda import LIBRARY, Libcuda
from actd.errors import EngineError, one_line

# TensorRT-RTX has the same interface and is used if it is the only one.
MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")


def missing(runtime: str = "trt") -> list[str]:
    """What this computer lacks for TensorRT, each with its remedy; empty when nothing."""
    del runtime
    return [problem for check in _CHECKS if (problem := check())]


def gpu_missing() -> list[str]:
    """What this computer lacks to use an NVIDIA GPU at all, each with its remedy."""
    return [problem for check in _GPU_CHECKS if (problem := check())]


def require() -> None:
    """Raise EngineError with everything that TensorRT lacks here, if anything."""
    if problems := missing():
        raise EngineError(f"trt: {'; '.join(problems)}; use ort-int8 or ort-fp32 meanwhile")


def trt_module() -> Any:
    """The installed TensorRT. Raises EngineError that says why each could not be imported."""
    reasons = []
    for name in MODULES:
        try:
            return import_module(name)
        except IMPORT_ERRORS as error:
            reasons.append(one_line(error))
    raise EngineError(f"tensorrt cannot be imported ({reasons[0]}); pip install 'actd[trt]'")


def _tensorrt() -> str | None:
    try:
        trt_module()
    except EngineError as error:
        return str(error)
    return None


def _driver() -> str | None:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return f"{LIBRARY} is missing; install the NVIDIA driver"
    return None


def _gpu() -> str | None:
    try:
        libcuda = Libcuda()
        libcuda.call("cuInit", 0)
        count = libcuda.number("cuDeviceGetCount")
    except EngineError:
        count = 0
    return None if count else "no NVIDIA GPU is visible; check nvidia-smi"


def _cuda_python() -> str | None:
    for module in ("pycuda.driver", "cuda.bindings.driver"):
        try:
            import_module(module)
        except IMPORT_ERRORS:
            continue
        return None
    return (
        "neither pycuda nor cuda-bindings can be imported; pip install 'actd[trt]', "
        "or 'actd[trt-bindings]' where pycuda cannot be built"
    )


_GPU_CHECKS: tuple[Callable[[], str | None], ...] = (_driver, _gpu, _cuda_python)
_CHECKS = (_tensorrt, *_GPU_CHECKS)
