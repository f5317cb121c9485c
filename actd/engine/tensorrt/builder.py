"""Build a TensorRT plan from an ONNX file, on the computer that will run it.

Networks are strongly typed on every TensorRT from 10.3 on: each tensor has the type that the
ONNX file gives it, and a plan of another precision is an EngineError instead of a silent
surprise. The parser's complaints are in the message. A timing cache goes in and comes out, so that
the next build is fast and chooses the same kernels.

TensorRT's objects have the same names throughout this package (`builder`, `network`, `config`,
`parser`, `engine`, `context`, ...): a test looks up each attribute in real TensorRT 10 and 11.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actd.engine.recipe import Precision
from actd.engine.tensorrt.log import last_errors, logger
from actd.errors import EngineError

_SLACK_BYTES = 8 << 20
# Largest size of a plan per weight, in bytes; the slack is for kernels.
_LIMIT = {"fp16": 3.0, "int8": 3.5}
# Which tensor types a precision must have in the network.
_TYPE = {"fp32": "FLOAT", "fp16": "HALF", "int8": "INT8"}
# The types in the inspector's text.
_FORMATS = {"fp16": r"FP16|Half", "int8": r"Int8|INT8", "fp32": r"FP32|Float"}


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """TensorRT's build effort. `workspace_bytes` bounds the scratch memory of a layer.

    `check_size`: whether the plan's size must match the precision. If only weights are 8-bit,
    TensorRT may widen them again.
    """

    precision: Precision
    check_size: bool = True
    workspace_bytes: int = 2 << 30
    optimization_level: int = 4

    def describe(self) -> str:
        """The settings that change the plan, as text."""
        return f"level {self.optimization_level}, workspace {self.workspace_bytes >> 20} MiB"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A plan, the timing cache after its build, and evidence of its precision.

    `tensors` counts the network's layer outputs by type, `weights` is its number of weights.
    """

    plan: bytes
    timing_cache: bytes
    tensors: Mapping[str, int]
    weights: int


def build_plan(
    trt: Any, onnx: Path, settings: BuildSettings, timing_cache: bytes = b""
) -> BuildResult:
    """Parse and build. Takes seconds to minutes. Raises EngineError with TensorRT's reasons."""
    try:
        builder = trt.Builder(logger(trt))
    except TypeError:  # what a null pointer from the library becomes
        raise EngineError(
            f"{onnx}: TensorRT cannot start a build here; {last_errors(trt)}; check nvidia-smi"
        ) from None
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, onnx)
    tensors, weights = _census(trt, network)
    _check_network(onnx, settings.precision, tensors)
    config = builder.create_builder_config()
    _configure(trt, config, settings)
    # a cache of another TensorRT or GPU is rejected, then start with an empty one
    cache = config.create_timing_cache(timing_cache)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    memory = builder.build_serialized_network(network, config)
    if memory is None:
        raise EngineError(
            f"{onnx}: TensorRT {trt.__version__} cannot build it; {last_errors(trt)}; "
            "use another engine"
        )
    plan = bytes(memory)
    if settings.check_size:
        _check_size(onnx, settings.precision, len(plan), weights)
    return BuildResult(plan, bytes(cache.serialize()), tensors, weights)


def inspect(trt: Any, engine: Any, precision: Precision) -> dict[str, int]:
    """The number of layers of a loaded engine per type; empty if TensorRT does not report types.

    Raises EngineError if it does and no layer has the recipe's precision.
    """
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    try:
        layers = [json.dumps(layer) for layer in json.loads(text)["Layers"]]
    except (ValueError, KeyError, TypeError):
        return {}
    counts = {name: sum(bool(re.search(p, one)) for one in layers) for name, p in _FORMATS.items()}
    if not any(counts.values()):
        return {}
    if not counts[precision]:
        summary = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise EngineError(
            f"trt: the plan has no {precision} layer ({summary}); export the engine again"
        )
    return counts


def _parse(trt: Any, network: Any, onnx: Path) -> None:
    parser = trt.OnnxParser(network, logger(trt))
    if parser.parse_from_file(str(onnx)):
        return
    problems = [parser.get_error(i) for i in range(parser.num_errors)]
    reasons = [
        " ".join(f"{problem.node_operator()} {problem.node_name()}: {problem.desc()}".split())
        for problem in problems
    ]
    last_errors(trt)
    raise EngineError(
        f"{onnx}: TensorRT {trt.__version__} cannot parse it: "
        f"{'; '.join(reasons) or 'not readable as ONNX'}; export it again with this actd"
    )


def _configure(trt: Any, config: Any, settings: BuildSettings) -> None:
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_bytes)
    config.builder_optimization_level = settings.optimization_level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # the inspector's types
    if settings.precision == "fp32":
        # TF32 keeps 10 bits of the mantissa, as float16 does
        config.clear_flag(trt.BuilderFlag.TF32)


def _census(trt: Any, network: Any) -> tuple[dict[str, int], int]:
    """Layer outputs of the network by type, and its number of weights."""
    types: Counter[str] = Counter()
    constants = 0
    kernels: dict[int, int] = {}  # by address: two cameras share theirs
    for layer in _layers(network):
        for index in range(layer.num_outputs):
            tensor = layer.get_output(index)
            types[tensor.dtype.name] += 1
            if layer.type == trt.LayerType.CONSTANT:
                constants += trt.volume(tensor.shape)
        if layer.type == trt.LayerType.CONVOLUTION:
            layer.__class__ = trt.IConvolutionLayer
            kernels[layer.kernel.ctypes.data] = layer.kernel.size
    return dict(types), constants + sum(kernels.values())


def _layers(network: Any) -> Iterator[Any]:
    for index in range(network.num_layers):
        yield network.get_layer(index)


def _check_network(onnx: Path, precision: Precision, tensors: Mapping[str, int]) -> None:
    tensor_type = _TYPE.get(precision)
    if tensor_type is None:
        raise EngineError(f"{onnx}: precision: {precision} cannot be built; use {', '.join(_TYPE)}")
    if not tensors.get(tensor_type):
        summary = ", ".join(f"{count} {name}" for name, count in tensors.items())
        raise EngineError(
            f"{onnx}: asked for {precision}, but the graph has no {tensor_type} tensor "
            f"({summary}); the model file is of another recipe; export it again"
        )


def _check_size(onnx: Path, precision: Precision, plan_bytes: int, weights: int) -> None:
    limit = _LIMIT.get(precision)
    if limit is not None and plan_bytes > limit * weights + _SLACK_BYTES:
        raise EngineError(
            f"{onnx}: asked for {precision}, but the plan has {plan_bytes} bytes for {weights} "
            "weights: TensorRT built a wider type; use another TensorRT or trt-fp32"
        )
