"""What an engine needs of a GPU, in one class that pycuda or cuda-bindings implements.

Owns the device's primary context while it is open, one non-blocking stream, and all memory,
events and graphs made through it; `close` frees them in reverse order. The primary context is
the one that TensorRT, ONNX Runtime and torch use too. Everything belongs to the thread that
opened the driver: another thread's call is an EngineError, as is every failure of CUDA.
"""

from __future__ import annotations

import atexit
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from actd.engine.cuda.libcuda import Libcuda
from actd.errors import EngineError

IMPORT_ERRORS = (ImportError, OSError, TypeError)
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: not held up by the legacy default stream

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
_EXTERNAL = 1  # CU_EVENT_RECORD_EXTERNAL: a node of the captured graph, recorded at each launch
_SLEEPING = 3  # CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")

# In the order in which they are tried.
_DRIVERS = {
    "pycuda": ("actd.engine.cuda.pycuda_driver", "PycudaDriver"),
    "cuda-bindings": ("actd.engine.cuda.bindings_driver", "BindingsDriver"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """The properties of the GPU and its driver on which a plan depends."""

    name: str
    compute_capability: str
    driver: str


class CudaDriver(ABC):
    """One GPU, opened. `reason` says why this implementation was chosen."""

    name: ClassVar[str]
    device: Device
    stream: int
    """The raw handle of the one stream that everything runs on."""

    def __init__(self, reason: str, spin: bool) -> None:
        self.reason = reason
        self._thread = threading.get_ident()
        self._open = True
        self._libcuda = Libcuda()
        self._resources = ExitStack()
        try:
            self._enter()
            # a blocking wait frees the core, an active one is some 20 us faster
            self._wait_event = None if spin else self._event(_SLEEPING)
        except BaseException:
            self._resources.close()
            raise
        # pycuda aborts a process that ends with a context still current
        atexit.register(self.close)

    @abstractmethod
    def _enter(self) -> None:
        """Make the primary context current; set `device` and `stream`."""

    @abstractmethod
    def alloc(self, size_bytes: int) -> int:
        """Allocate device memory that lives until `close`; return its address."""

    @abstractmethod
    def pinned(self, size_bytes: int) -> NDArray[np.uint8]:
        """Allocate page-locked host memory; it must not be used after `close`."""

    @abstractmethod
    def copy_in(self, address: int, array: NDArray[Any]) -> None:
        """Enqueue a copy from pinned memory to the device."""

    @abstractmethod
    def copy_out(self, array: NDArray[Any], address: int) -> None:
        """Enqueue a copy from the device to pinned memory."""

    @abstractmethod
    def _synchronize(self) -> None:
        """Wait for the stream, spinning."""

    def synchronize(self) -> None:
        """Wait until everything enqueued is done."""
        self.check()
        if self._wait_event is None:
            self._synchronize()
        else:
            self._libcuda.call("cuEventRecord", self._wait_event, self.stream)
            self._libcuda.call("cuEventSynchronize", self._wait_event)

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Capture what `enqueue` puts on the stream as a graph; return the call that launches it.

        Nothing runs during the capture. Raises EngineError when it cannot be captured, and
        whatever `enqueue` raises; the stream stays usable.
        """
        self.check()
        self._libcuda.call("cuStreamBeginCapture_v2", self.stream, _THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            self._discard_capture()
            raise
        graph = self._libcuda.end_capture(self.stream)
        self._resources.callback(self._libcuda.call, "cuGraphDestroy", graph)
        executable = self._libcuda.make("cuGraphInstantiateWithFlags", graph, 0)
        self._resources.callback(self._libcuda.call, "cuGraphExecDestroy", executable)

        def launch() -> None:
            self.check()
            self._libcuda.call("cuGraphLaunch", executable, self.stream)

        return launch

    def event(self) -> int:
        """An event to `record` for `elapsed_ns`; lives until `close`."""
        return self._event(0)

    def record(self, event: int, *, captured: bool) -> None:
        """Enqueue an event; `captured` when it becomes part of a graph."""
        flags = _EXTERNAL if captured else 0
        self._libcuda.call("cuEventRecordWithFlags", event, self.stream, flags)

    def elapsed_ns(self, start: int, end: int) -> int:
        """GPU time between two events that have happened; 0 when the driver cannot tell."""
        return self._libcuda.elapsed_ns(start, end)

    def close(self) -> None:
        """Free everything in reverse order. Safe to call twice."""
        if not self._open:
            return
        self.check()
        self._open = False
        atexit.unregister(self.close)
        self._resources.close()

    def check(self) -> None:
        """Raise EngineError unless this is the thread that opened the driver, still open."""
        if threading.get_ident() != self._thread:
            raise EngineError(
                f"cuda: called from thread {threading.get_ident()}, opened by {self._thread}; "
                "load, run and close an engine in one thread"
            )
        if not self._open:
            raise EngineError("cuda: used after it was closed; load the engine again")

    def _event(self, flags: int) -> int:
        self.check()
        event = self._libcuda.make("cuEventCreate", flags)
        self._resources.callback(self._libcuda.call, "cuEventDestroy_v2", event)
        return event

    def _discard_capture(self) -> None:
        # the capture is broken, and ending it may fail too; only the stream matters now
        try:
            graph = self._libcuda.end_capture(self.stream)
        except EngineError:
            return
        if graph:
            self._libcuda.call("cuGraphDestroy", graph)

    def _driver_version(self) -> str:
        """The driver's version, such as `580.65.06 (CUDA 13.0)`."""
        number = self._libcuda.number("cuDriverGetVersion")
        cuda = f"CUDA {number // 1000}.{number % 1000 // 10}"
        try:
            match = re.search(r"\d+\.\d+(\.\d+)?", _KERNEL_MODULE.read_text(encoding="utf-8"))
        except OSError:
            match = None
        return f"{match.group()} ({cuda})" if match else cuda


def open_driver(*, spin: bool = False) -> CudaDriver:
    """The first GPU, through pycuda where it can be imported, else through cuda-bindings.

    `spin`: wait actively for results. Raises EngineError with what each of them lacks.
    """
    reasons: list[str] = []
    for name, (module, cls) in _DRIVERS.items():
        try:
            driver = getattr(import_module(module), cls)
        except IMPORT_ERRORS as error:
            reasons.append(f"{name} cannot be imported ({' '.join(str(error).split())})")
            continue
        instance: CudaDriver = driver("; ".join(reasons) or "the first choice", spin)
        return instance
    raise EngineError(
        f"cuda: {'; '.join(reasons)}; pip install 'actd[trt]', or 'actd[trt-bindings]' where "
        "pycuda cannot be built"
    )
