"""A GPU through pycuda. Importing this module imports pycuda's driver, which needs libcuda.

pycuda.autoinit is never used: its private context is not the one that TensorRT works in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pycuda.driver as drv
from numpy.typing import NDArray

from actd.engine.cuda.driver import NON_BLOCKING, CudaDriver, Device
from actd.errors import EngineError

_T = TypeVar("_T")


class PycudaDriver(CudaDriver):
    """The device's primary context, by pycuda."""

    name = "pycuda"

    def _enter(self) -> None:
        self._call(drv.init)
        gpu = self._call(drv.Device, 0)
        context = self._call(gpu.retain_primary_context)
        self._resources.callback(self._leave, context)
        self._call(context.push)
        major, minor = gpu.compute_capability()
        self.device = Device(gpu.name(), f"{major}.{minor}", self._driver_version())
        self._stream: Any = self._call(drv.Stream, NON_BLOCKING)
        # pycuda destroys a stream with its last reference, which must go before the context
        self._resources.callback(setattr, self, "_stream", None)
        self.stream = self._stream.handle

    def alloc(self, size_bytes: int) -> int:
        """Allocate device memory that lives until `close`; return its address."""
        self.check()
        memory = self._call(drv.mem_alloc, size_bytes)
        self._resources.callback(memory.free)
        return int(memory)

    def pinned(self, size_bytes: int) -> NDArray[np.uint8]:
        """Allocate page-locked host memory; it must not be used after `close`."""
        self.check()
        array: NDArray[np.uint8] = self._call(drv.pagelocked_empty, size_bytes, np.uint8)
        self._resources.callback(array.base.free)  # type: ignore[union-attr]
        return array

    def copy_in(self, address: int, array: NDArray[Any]) -> None:
        """Enqueue a copy from pinned memory to the device."""
        self._call(drv.memcpy_htod_async, address, array, self._stream)

    def copy_out(self, array: NDArray[Any], address: int) -> None:
        """Enqueue a copy from the device to pinned memory."""
        self._call(drv.memcpy_dtoh_async, array, address, self._stream)

    def _synchronize(self) -> None:
        self._call(self._stream.synchronize)

    def _leave(self, context: Any) -> None:
        # pycuda's detach releases a primary context but leaves it current
        self._libcuda.make("cuCtxPopCurrent_v2")
        context.detach()

    @staticmethod
    def _call(function: Callable[..., _T], *arguments: Any) -> _T:
        try:
            return function(*arguments)
        except drv.Error as error:
            raise EngineError(f"cuda: {error}; see nvidia-smi") from None
