"""A GPU through NVIDIA's cuda-bindings, for systems where pycuda cannot be built."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import driver as cu
from numpy.typing import NDArray

from actd.engine.cuda.driver import NON_BLOCKING, CudaDriver, Device
from actd.errors import EngineError


class BindingsDriver(CudaDriver):
    """The device's primary context, by cuda-bindings."""

    name = "cuda-bindings"

    def _enter(self) -> None:
        self._call(cu.cuInit, 0)
        gpu = self._call(cu.cuDeviceGet, 0)
        context = self._call(cu.cuDevicePrimaryCtxRetain, gpu)
        self._resources.callback(self._call, cu.cuDevicePrimaryCtxRelease, gpu)
        self._call(cu.cuCtxPushCurrent, context)
        self._resources.callback(self._call, cu.cuCtxPopCurrent)
        attribute = cu.CUdevice_attribute
        major = self._call(
            cu.cuDeviceGetAttribute, attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, gpu
        )
        minor = self._call(
            cu.cuDeviceGetAttribute, attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, gpu
        )
        name = self._call(cu.cuDeviceGetName, 256, gpu).split(b"\0")[0].decode()
        self.device = Device(name, f"{major}.{minor}", self._driver_version())
        self._stream = self._call(cu.cuStreamCreate, NON_BLOCKING)
        self._resources.callback(self._call, cu.cuStreamDestroy, self._stream)
        self.stream = int(self._stream)

    def alloc(self, size_bytes: int) -> int:
        """Allocate device memory that lives until `close`; return its address."""
        self.check()
        memory = self._call(cu.cuMemAlloc, size_bytes)
        self._resources.callback(self._call, cu.cuMemFree, memory)
        return int(memory)

    def pinned(self, size_bytes: int) -> NDArray[np.uint8]:
        """Allocate page-locked host memory; it must not be used after `close`."""
        self.check()
        address = self._call(cu.cuMemHostAlloc, size_bytes, 0)
        self._resources.callback(self._call, cu.cuMemFreeHost, address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size_bytes).from_address(address))

    def copy_in(self, address: int, array: NDArray[Any]) -> None:
        """Enqueue a copy from pinned memory to the device."""
        self._call(cu.cuMemcpyHtoDAsync, address, array.ctypes.data, array.nbytes, self._stream)

    def copy_out(self, array: NDArray[Any], address: int) -> None:
        """Enqueue a copy from the device to pinned memory."""
        self._call(cu.cuMemcpyDtoHAsync, array.ctypes.data, address, array.nbytes, self._stream)

    def _synchronize(self) -> None:
        self._call(cu.cuStreamSynchronize, self._stream)

    @staticmethod
    def _call(function: Any, *arguments: Any) -> Any:
        """Call a function; return its results without the status, which must be success."""
        try:
            status, *values = function(*arguments)
        except RuntimeError as error:  # libcuda lacks the function, or cannot be loaded
            raise EngineError(f"cuda: {error}; update the NVIDIA driver") from None
        if status != cu.CUresult.CUDA_SUCCESS:
            raise EngineError(
                f"cuda: {function.__name__} failed with {status.name}; see nvidia-smi"
            )
        return values[0] if len(values) == 1 else tuple(values)
