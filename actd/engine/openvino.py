"""Run an engine with OpenVINO on the CPU, in float32, bfloat16 or 8-bit integers.

The precision that OpenVINO chose is read back from the compiled graph: a request for bfloat16 or
8 bits that it did not follow is an EngineError, because OpenVINO itself would be silent. Compiled
models are cached.

Threads are not pinned: they stay on the cores of the process that loads the engine, which the
daemon has chosen apart from the tick's. Inputs are copied into tensors allocated once, a tenth of a
millisecond for two images, so that read-only and strided arrays need no second path.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd import host
from actd.engine.base import not_importable
from actd.engine.cache import cache_folder, discard_unsealed, seal
from actd.engine.manifest import Manifest
from actd.engine.ort import OUTPUT
from actd.engine.staged import StagedEngine
from actd.errors import EngineError, one_line

# The layers that take the time, and the types in which they may compute at each precision.
_HEAVY = frozenset({"Convolution", "FullyConnected"})
_KERNELS = {"fp32": {"f32"}, "bf16": {"bf16"}, "int8": {"u8", "i8"}}
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenvinoEngine(StagedEngine):
    """A compiled model and its one inference request."""

    def __init__(self, file: Path, manifest: Manifest, threads: int | None) -> None:
        super().__init__(manifest)
        compiled = compile_model(file, manifest, threads)
        _check_kernels(compiled, file, manifest)
        self._request: Any = compiled.create_infer_request()
        self._tensors = {f.key: self._request.get_tensor(f.key) for f in self.spec.inputs}
        self._inputs = {key: tensor.data for key, tensor in self._tensors.items()}
        self._output: Any = self._request.get_tensor(OUTPUT)

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for key, array in arrays.items():
            np.copyto(self._inputs[key], array)

    def _run(self) -> None:
        self._request.infer(share_outputs=True)

    def _copy_out(self) -> NDArray[np.float32]:
        return np.array(self._output.data)

    def _free(self) -> None:
        self._inputs, self._tensors = {}, {}
        self._output = self._request = None


def missing(runtime: str) -> list[str]:
    """What this computer lacks for OpenVINO."""
    del runtime
    # its model converter, imported along and not used here, sends telemetry through this
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return not_importable("openvino", "openvino")


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> OpenvinoEngine:
    """The engine of a verified folder. `spin` has no effect on OpenVINO's threads."""
    del spin
    return OpenvinoEngine(folder / manifest.model, manifest, threads)


_SUMS = ("Add", "Subtract", "Multiply", "Divide", "MVN")
_EXEMPT = """
<net name="one" version="11">
  <layers>
    <layer id="0" name="in" type="Parameter" version="opset1">
      <data shape="1" element_type="f32"/>
      <output><port id="0" precision="FP32"><dim>1</dim></port></output>
    </layer>
    <layer id="1" name="exempt" type="ReLU" version="opset1">
      <rt_info><attribute name="precise" version="0"/></rt_info>
      <input><port id="0"><dim>1</dim></port></input>
      <output><port id="1" precision="FP32"><dim>1</dim></port></output>
    </layer>
    <layer id="2" name="out" type="Result" version="opset1">
      <input><port id="0"><dim>1</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
  </edges>
</net>
"""

# OpenVINO reads a model in the "C" locale and then restores the process's: two at once leave "C".
_read_lock = threading.Lock()


@cache
def core() -> Any:
    """The only `openvino.Core` of this process, never destroyed.

    Its CPU plugin gives the calling thread a signal stack of its own. Plugins destroyed in another
    order than they were created leave the thread with a freed one, and the next signal, such as
    Ctrl-C, is then a segmentation fault.
    """
    import openvino

    return openvino.Core()


def compile_model(file: Path, manifest: Manifest, threads: int | None) -> Any:
    """The compiled model, from the cache if it was compiled before."""
    if problems := missing("openvino"):
        raise EngineError(f"{file}: {problems[0]}")
    hint = _hint(manifest)
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    folder = _cache(manifest)
    if folder:
        settings["CACHE_DIR"] = str(folder)
    try:
        with _read_lock:
            model = _with_exact_sums(file) if hint == _HINTS["bf16"] else str(file)
            compiled = core().compile_model(model, "CPU", settings)
        loaded_from_cache = compiled.get_property("LOADED_FROM_CACHE")
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    except RuntimeError as error:
        reason = one_line(error)[-200:]
        raise EngineError(f"{file}: openvino cannot load it ({reason}); export again") from None
    if precision != hint:
        raise EngineError(
            f"{file}: asked openvino for {hint}, got {precision}; use another engine on this CPU"
        )
    if folder and not loaded_from_cache:
        seal(folder)
    return compiled


def _with_exact_sums(file: Path) -> Any:
    """The model with its transformer's sums exempt from bfloat16, multiplications not.

    As in mixed-precision training: residual sums and normalisations pass through the whole
    network, and rounding them causes a fifth of the error. They are cheap; those of the backbone,
    on large images that the next convolution rounds anyway, are not exempt.
    """
    model = core().read_model(str(file))
    ((key, mark),) = _exempt_node().get_rt_info().items()
    for node in model.get_ops():
        if node.get_type_name() in _SUMS and len(node.output(0).get_partial_shape()) <= 3:
            node.set_rt_info(mark, key)
    return model


def _exempt_node() -> Any:
    """An operator marked as exempt from a change of precision.

    The mark exists only in OpenVINO's own format, and only its reader can create it.
    """
    model = core().read_model(_EXEMPT.encode(), b"")
    return next(node for node in model.get_ops() if node.get_friendly_name() == "exempt")


def _hint(manifest: Manifest) -> str:
    """OpenVINO's name for the type of the layers that are not 8-bit."""
    precision = manifest.precision
    if precision == "int8":
        # float32 is more exact than requested where the CPU lacks bfloat16
        precision = manifest.recipe.float_part if host.has_bf16() else "fp32"
    if precision == "bf16" and not host.has_bf16():
        raise EngineError(
            f"{manifest.engine}: {host.cpu()[0]} has no bfloat16 (neither avx512_bf16 nor "
            "amx_bf16); use openvino-int8 or openvino-fp32"
        )
    return _HINTS[precision]


def _cache(manifest: Manifest) -> Path | None:
    """The cache folder for this compiled model; None while it is being built."""
    hashes = {record.name: record.sha256 for record in manifest.files}
    if manifest.model not in hashes:
        return None
    folder = cache_folder("openvino", hashes[manifest.model][:32])
    if folder:
        discard_unsealed(folder)
    return folder


def _check_kernels(compiled: Any, file: Path, manifest: Manifest) -> None:
    """Raise EngineError unless the heavy layers compute in the requested precision."""
    counts = kernels(compiled)
    matching = sum(counts.get(kind, 0) for kind in _KERNELS[manifest.precision])
    if manifest.precision == "int8":
        # some layers stay float on purpose; without a calibration record this is a trial of the
        # search for them, in which a single layer may be 8-bit
        passes = matching > 0 or manifest.calibration is None
    else:
        passes = matching == sum(counts.values())
    if not passes:
        summary = ", ".join(f"{count} in {kind}" for kind, count in sorted(counts.items()))
        raise EngineError(
            f"{file}: openvino does not compute in {manifest.precision} here: of the convolutions "
            f"and linear layers {summary or 'none is left'}; use another engine"
        )


def kernels(compiled: Any) -> dict[str, int]:
    """The number of convolutions and linear layers of a compiled model by type."""
    counts: dict[str, int] = {}
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) in _HEAVY:
            kind = facts["runtimePrecision"].astype(str)
            counts[kind] = counts.get(kind, 0) + 1
    return counts
