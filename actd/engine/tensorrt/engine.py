"""Run a TensorRT plan: one copy in, one enqueue, one copy out, all in one CUDA graph.

Owns pinned and device memory for every tensor, allocated once and at fixed addresses; inputs are
contiguous and copied at once. If the graph cannot be captured, the same work is enqueued at each
inference and `notes` says why. Belongs to the thread that loaded it. An observation that does not
match the policy is an EngineError naming the key, as is any failure of CUDA or TensorRT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation, Stages
from actd.engine.cuda.driver import CudaDriver
from actd.engine.manifest import Manifest
from actd.engine.ort import OUTPUT
from actd.engine.staged import StagedEngine
from actd.engine.tensorrt.log import last_errors, logger
from actd.errors import EngineError

_ALIGNMENT = 256


@dataclass(frozen=True, slots=True)
class _Buffers:
    """Contiguous host and device memory of some tensors."""

    host: NDArray[np.uint8]
    device: int
    arrays: Mapping[str, NDArray[Any]]
    addresses: Mapping[str, int]


def open_plan(trt: Any, plan: bytes) -> Any:
    """The plan as TensorRT's engine. Raises EngineError when TensorRT rejects it."""
    runtime = trt.Runtime(logger(trt))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"trt: TensorRT {trt.__version__} cannot load the plan; {last_errors(trt)}"
        )
    return engine


class TrtEngine(StagedEngine):
    """A loaded plan on the GPU. `close` closes `driver` too.

    `stages` are the GPU's own times of both copies; computing is the rest, with launch and wait.
    """

    def __init__(self, trt: Any, driver: CudaDriver, engine: Any, manifest: Manifest) -> None:
        super().__init__(manifest)
        self.notes: tuple[str, ...] = (f"CUDA through {driver.name}: {driver.reason}",)
        self._trt = trt
        self._driver = driver
        self._check_tensors(engine)
        self._context: Any = engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"{self.name}: no memory for the plan; {last_errors(trt)}")
        inputs = {f.key: np.empty(f.boundary_shape, f.boundary_dtype) for f in self.spec.inputs}
        self._inputs = _buffers(driver, inputs)
        actions = np.empty((self.spec.chunk_size, self.spec.action_dim), np.float32)
        self._outputs = _buffers(driver, {OUTPUT: actions})
        self._events = [driver.event() for _ in range(4)]
        self._bind(self._context)
        self._graph = self._capture_graph()

    def infer(self, observation: Observation) -> NDArray[np.float32]:
        """One chunk, (chunk_size, action_dim), in physical units.

        Raises EngineError when a key is missing or a shape or dtype is not the spec's, and in
        any thread but the one that loaded the engine.
        """
        self._driver.check()
        actions = super().infer(observation)
        began, copied, computed, ended = self._events
        bus_in_ns = self._driver.elapsed_ns(began, copied)
        bus_out_ns = self._driver.elapsed_ns(computed, ended)
        host_stages = self.stages
        self.stages = Stages(
            copy_in_ns=host_stages.copy_in_ns + bus_in_ns,
            run_ns=max(0, host_stages.run_ns - bus_in_ns - bus_out_ns),
            copy_out_ns=host_stages.copy_out_ns + bus_out_ns,
        )
        return actions

    def close(self) -> None:
        """Free everything on the GPU, in the thread that loaded it. Safe to call twice."""
        if not self._closed:
            self._driver.check()
            super().close()

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for key, array in arrays.items():
            np.copyto(self._inputs.arrays[key], array)

    def _run(self) -> None:
        if self._graph is None:
            self._enqueue(captured=False)
        else:
            self._graph()
        self._driver.synchronize()

    def _copy_out(self) -> NDArray[np.float32]:
        actions: NDArray[np.float32] = self._outputs.arrays[OUTPUT].copy()
        return actions

    def _free(self) -> None:
        # TensorRT's objects go before the CUDA context that they live in
        self._graph = self._context = None
        self._driver.close()

    def _capture_graph(self) -> Callable[[], None] | None:
        """Run once, then capture the same as a graph; return its launch, None without a graph."""
        # kernels are loaded in the first run, which is not allowed during a capture
        self._enqueue(captured=False)
        self._driver.synchronize()
        try:
            return self._driver.capture(partial(self._enqueue, captured=True))
        except EngineError as error:
            self.notes += (f"no CUDA graph, work is enqueued each time: {error}",)
            return None

    def _enqueue(self, *, captured: bool) -> None:
        began, copied, computed, ended = self._events
        driver, context = self._driver, self._context
        driver.record(began, captured=captured)
        driver.copy_in(self._inputs.device, self._inputs.host)
        driver.record(copied, captured=captured)
        if not context.execute_async_v3(driver.stream):
            raise EngineError(
                f"{self.name}: TensorRT cannot run the plan; {last_errors(self._trt)}"
            )
        driver.record(computed, captured=captured)
        driver.copy_out(self._outputs.host, self._outputs.device)
        driver.record(ended, captured=captured)

    def _bind(self, context: Any) -> None:
        for name, address in {**self._inputs.addresses, **self._outputs.addresses}.items():
            if not context.set_tensor_address(name, address):
                raise EngineError(f"{self.name}: {name}: no such tensor; {last_errors(self._trt)}")

    def _check_tensors(self, engine: Any) -> None:
        """Raise EngineError unless the plan's inputs and outputs are those of the policy."""
        spec = self.spec
        expected = {f.key: f"{f.boundary_dtype} {f.boundary_shape}" for f in spec.inputs}
        expected[OUTPUT] = f"float32 {(spec.chunk_size, spec.action_dim)}"
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        actual = {
            name: f"{np.dtype(self._trt.nptype(engine.get_tensor_dtype(name)))} "
            f"{tuple(engine.get_tensor_shape(name))}"
            for name in names
        }
        if actual != expected:
            raise EngineError(
                f"{self.name}: the plan has {actual}, the policy {expected}; "
                "export the engine again"
            )


def _buffers(driver: CudaDriver, tensors: Mapping[str, NDArray[Any]]) -> _Buffers:
    """Pinned and device memory for tensors like these, each on an aligned address."""
    offsets, size_bytes = {}, 0
    for name, like in tensors.items():
        offsets[name] = size_bytes
        size_bytes += -(-like.nbytes // _ALIGNMENT) * _ALIGNMENT
    host, device = driver.pinned(size_bytes), driver.alloc(size_bytes)
    return _Buffers(
        host=host,
        device=device,
        arrays={
            name: host[start : start + tensors[name].nbytes]
            .view(tensors[name].dtype)
            .reshape(tensors[name].shape)
            for name, start in offsets.items()
        },
        addresses={name: device + start for name, start in offsets.items()},
    )
