"""Run an engine on an NVIDIA GPU with ONNX Runtime: its CUDA provider, or its TensorRT provider.

Inputs and actions have fixed addresses on the GPU for the engine's whole life, as a CUDA graph
needs; inputs are copied there through page-locked memory. If a GPU library cannot be loaded, ONNX
Runtime falls back to the CPU and says so only in its log: here that is an EngineError that names
what is missing, and so is a graph of which any part would run on the CPU. Every engine is compared
with torch's recorded answers when it is loaded, because its kernels are chosen on the computer that
runs it.

ONNX Runtime is linked with TensorRT 10; it cannot use TensorRT 11.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd import host
from actd.engine.cache import cache_folder, discard_unsealed, seal
from actd.engine.cuda.driver import open_driver
from actd.engine.manifest import Manifest
from actd.engine.ort import OUTPUT
from actd.engine.reference import check_reference
from actd.engine.staged import StagedEngine
from actd.engine.tensorrt.availability import gpu_missing
from actd.errors import EngineError, one_line

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "ort-trt": "TensorrtExecutionProvider"}
_TENSORRT = ("libnvinfer.so.10", "libnvonnxparser.so.10")


class OrtGpuEngine(StagedEngine):
    """An ONNX file in a session on the first GPU. Belongs to the thread that made it."""

    def __init__(self, file: Path, manifest: Manifest, spin: bool) -> None:
        super().__init__(manifest)
        import onnxruntime as ort

        self._driver = open_driver(spin=spin)
        try:
            self._session: Any = _session(file, manifest)
            self._binding: Any = self._session.io_binding()
            self._staging: dict[str, NDArray[Any]] = {}
            self._inputs: dict[str, Any] = {}
            for feature in self.spec.inputs:
                dtype = np.dtype(feature.boundary_dtype)
                shape = feature.boundary_shape
                pinned = self._driver.pinned(int(np.prod(shape)) * dtype.itemsize)
                self._staging[feature.key] = pinned.view(dtype).reshape(shape)
                value = ort.OrtValue.ortvalue_from_shape_and_type(shape, dtype, "cuda", 0)
                self._binding.bind_ortvalue_input(feature.key, value)
                self._inputs[feature.key] = value
            chunk = (self.spec.chunk_size, self.spec.action_dim)
            self._actions: Any = ort.OrtValue.ortvalue_from_shape_and_type(
                chunk, np.float32, "cuda", 0
            )
            self._binding.bind_ortvalue_output(OUTPUT, self._actions)
        except BaseException:
            self._driver.close()
            raise

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for key, array in arrays.items():
            np.copyto(self._staging[key], array)
            self._inputs[key].update_inplace(self._staging[key])

    def _run(self) -> None:
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def _copy_out(self) -> NDArray[np.float32]:
        return np.array(self._actions.numpy())

    def _free(self) -> None:
        self._staging, self._inputs = {}, {}
        self._actions = self._binding = self._session = None
        self._driver.close()


def missing(runtime: str) -> list[str]:
    """What this computer lacks for ONNX Runtime on a GPU, each with its remedy."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        return [f"onnxruntime cannot be imported ({error}); pip install 'actd[cuda]'"]
    if host.version("onnxruntime") and host.version("onnxruntime-gpu"):
        return [
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; "
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'actd[cuda]'"
        ]
    if _PROVIDERS[runtime] not in ort.get_available_providers():
        return [
            f"this onnxruntime {ort.__version__} has no {_PROVIDERS[runtime]}; "
            "pip uninstall -y onnxruntime, then pip install 'actd[cuda]'"
        ]
    return [*gpu_missing(), *_libraries(runtime)]


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> OrtGpuEngine:
    """The engine of a verified folder, compared with torch's answers. `threads` has no effect."""
    del threads
    if problems := missing(manifest.runtime):
        raise EngineError(f"{manifest.engine}: {'; '.join(problems)}")
    engine = OrtGpuEngine(folder / manifest.model, manifest, spin)
    try:
        if manifest.published:  # during an export, the export validates it
            check_reference(engine, folder, manifest)
    except BaseException:
        engine.close()
        raise
    return engine


def _libraries(runtime: str) -> list[str]:
    """Libraries that ONNX Runtime's provider is linked with and that cannot be loaded."""
    import onnxruntime as ort

    with contextlib.redirect_stdout(io.StringIO()):  # it prints
        ort.preload_dlls(directory="")  # from NVIDIA's own packages, if they are installed
    major = ort.cuda_version.split(".")[0]
    problems = [
        f"{library} is missing; {remedy}"
        for library, remedy in (
            (f"libcudart.so.{major}", f"install CUDA {major}, which this onnxruntime needs"),
            (f"libcublasLt.so.{major}", f"install CUDA {major} with cuBLAS"),
            ("libcudnn.so.9", f"pip install nvidia-cudnn-cu{major}"),
        )
        if not _loads(library)
    ]
    if runtime == "ort-trt" and not all(map(_loads, _TENSORRT)):
        problems.append(
            f"{_TENSORRT[0]} is missing; install TensorRT 10 (onnxruntime is linked with it and "
            "cannot use TensorRT 11; with that use the trt engines)"
        )
    return problems


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _session(file: Path, manifest: Manifest) -> Any:
    """A session that runs entirely on the requested provider. Raises EngineError."""
    import onnxruntime as ort

    provider = _PROVIDERS[manifest.runtime]
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the default is a waiting thread pinned to each core
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    cache = _plans(manifest)
    if cache:
        discard_unsealed(cache)  # the provider fails on a truncated plan instead of rebuilding
    provider_options = (
        _cuda_options() if manifest.runtime == "cuda" else _tensorrt_options(manifest, cache)
    )
    try:
        session = ort.InferenceSession(
            str(file), options, providers=[(provider, provider_options)], enable_fallback=False
        )
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no base class
        reason = one_line(error)[:300]
        raise EngineError(f"{file}: {provider} cannot run it ({reason}); {_advice()}") from None
    require_provider(session.get_providers(), provider, file)
    if cache:
        seal(cache)
    return session


def require_provider(providers: list[str], provider: str, file: Path) -> None:
    """Raise EngineError unless a session's first provider is the requested one."""
    if providers[:1] != [provider]:
        raise EngineError(f"{file}: asked for {provider}, got {', '.join(providers)}; {_advice()}")


def _advice() -> str:
    return "check the driver with nvidia-smi, CUDA's major version and cuDNN, or use ort-fp32"


def _cuda_options() -> dict[str, str]:
    return {
        "device_id": "0",
        "enable_cuda_graph": "1",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "use_tf32": "0",
    }


def _plans(manifest: Manifest) -> Path | None:
    """The TensorRT provider's cache folder for this engine, None without one."""
    key = next((r.sha256[:32] for r in manifest.files if r.name == manifest.model), None)
    return cache_folder("ort-trt", key) if key and manifest.runtime == "ort-trt" else None


def _tensorrt_options(manifest: Manifest, cache: Path | None) -> dict[str, str]:
    """Options of the TensorRT provider."""
    options = {
        "device_id": "0",
        "trt_cuda_graph_enable": "1",
        # the graph is float16 already; this lets TensorRT 10 use kernels for it
        "trt_fp16_enable": str(int(manifest.precision == "fp16")),
        "trt_layer_norm_fp32_fallback": "1",
    }
    if cache:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
        }
    return options
