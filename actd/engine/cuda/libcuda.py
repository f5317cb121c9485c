"""The part of CUDA's driver API that is called directly: graphs, events, the context stack.

Loads libcuda.so.1 with ctypes, because pycuda has no graphs; handles are plain integers, so streams
and addresses of pycuda and cuda-bindings can be passed. A call that fails is an EngineError with
CUDA's name for the failure.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_uint, c_ulonglong, c_void_p
from typing import Any

from actd.errors import EngineError

LIBRARY = "libcuda.so.1"

_handle_out = POINTER(c_void_p)
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuCtxPopCurrent_v2": (_handle_out,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, _handle_out),
    "cuGraphInstantiateWithFlags": (_handle_out, c_void_p, c_ulonglong),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphExecDestroy": (c_void_p,),
    "cuGraphDestroy": (c_void_p,),
    "cuEventCreate": (_handle_out, c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventRecordWithFlags": (c_void_p, c_void_p, c_uint),
    "cuEventSynchronize": (c_void_p,),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuEventDestroy_v2": (c_void_p,),
}


class Libcuda:
    """The driver library, loaded. Raises EngineError where there is none."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
            for name, arguments in _SIGNATURES.items():
                getattr(self._library, name).argtypes = arguments
        except (OSError, AttributeError) as error:
            raise EngineError(
                f"cuda: {LIBRARY} cannot be used ({error}); install the NVIDIA driver"
            ) from None

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the library. Raises EngineError when it fails."""
        status = getattr(self._library, name)(*arguments)
        if status:
            raise EngineError(
                f"cuda: {name} failed with {self._error_name(status)}; see nvidia-smi"
            )

    def make(self, name: str, *arguments: Any) -> int:
        """Call a function whose first argument receives a handle; return the handle."""
        handle = c_void_p()
        self.call(name, byref(handle), *arguments)
        return handle.value or 0

    def number(self, name: str) -> int:
        """Call a function whose only argument receives an integer; return the integer."""
        value = c_int()
        self.call(name, byref(value))
        return value.value

    def end_capture(self, stream: int) -> int:
        """End the capture on a stream; return the graph."""
        graph = c_void_p()
        self.call("cuStreamEndCapture", stream, byref(graph))
        return graph.value or 0

    def elapsed_ns(self, start: int, end: int) -> int:
        """GPU time between two recorded events; 0 when the driver cannot tell."""
        milliseconds = c_float()
        status = self._library.cuEventElapsedTime(byref(milliseconds), start, end)
        return 0 if status else int(milliseconds.value * 1e6)

    def _error_name(self, status: int) -> str:
        text = c_char_p()
        if self._library.cuGetErrorName(status, byref(text)) or text.value is None:
            return f"CUDA error {status}"
        return text.value.decode()
