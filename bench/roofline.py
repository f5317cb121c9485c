"""What a network would take if all of it ran as fast as this machine multiplies matrices.

Counts a network's multiplications in its ONNX graph, and measures the rate of large convolutions
and matrix products of ACT's shapes in 8-bit integers, bfloat16 and float32, with whichever of
ONNX Runtime and OpenVINO does each fastest. A lower bound that no kernel here has beaten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from actd.engine.openvino import core
from actd.export.quiet import quiet
from actd.timing import interleave

PRECISIONS = ("int8", "bf16", "fp32")
_CONV, _GEMM = (1, 256, 60, 80), (602, 512)
_HIDDEN = 3200
_LAYERS = 2
_TRIALS = 4


@dataclass(frozen=True, slots=True)
class Work:
    """Multiplications of one inference: by weights, which can be 8-bit, and of activations."""

    weights: int
    attention: int


@dataclass(frozen=True, slots=True)
class Probe:
    """A product that the machine does as fast as it can; `macs` multiplications a call."""

    name: str
    precision: str
    macs: int
    call: Callable[[], object]


def count(model: Path) -> Work:
    """The multiplications of an ONNX model of fixed shapes."""
    graph = shape_inference.infer_shapes(onnx.load(model)).graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    weights |= {
        node.output[0]: tuple(node.attribute[0].t.dims)
        for node in graph.node
        if node.op_type == "Constant"
    }
    shapes = weights | {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    found = {True: 0, False: 0}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        # every value of the output is a sum over what one value of the input meets
        weight = shapes[node.input[1]]
        if node.op_type == "Conv":
            depth = math.prod(weight[1:])
        else:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            depth = weight[-1] if turned else weight[-2]
        constant = any(name in weights for name in node.input[:2])
        found[constant] += math.prod(shapes[node.output[0]]) * depth
    return Work(found[True], found[False])


def probes(threads: int, scratch: Path) -> dict[str, Probe]:
    """The fastest product of each precision that can be had here, by precision."""
    made: list[Probe] = []
    for shape, build in (("conv", _conv), ("gemm", _gemm)):
        model = build()
        macs = count_of(model, scratch / f"{shape}.onnx")
        files = {"fp32": scratch / f"{shape}.onnx", "int8": scratch / f"{shape}-int8.onnx"}
        _quantize(files["fp32"], files["int8"], _sample(model))
        for precision in PRECISIONS:
            file = files.get(precision, files["fp32"])
            for runtime, make in (("ort", _ort), ("openvino", _openvino)):
                call = make(file, precision, threads, _sample(model))
                if call is not None:
                    made.append(Probe(f"{runtime}-{shape}", precision, macs, call))
    return {p: _fastest([m for m in made if m.precision == p]) for p in _had(made)}


def count_of(model: Any, file: Path) -> int:
    """Write a model, and count its multiplications."""
    onnx.save(model, file)
    return count(file).weights


def bound_ns(
    work: Work, probe_ns: Mapping[str, Sequence[int]], macs: Mapping[str, int], precision: str
) -> list[int]:
    """The roofline of every round: weights in `precision`, attention in the fastest float."""
    each = {name: np.array(taken) / macs[name] for name, taken in probe_ns.items()}
    floats = [name for name in each if name != "int8"]
    best = min(floats, key=lambda name: float(np.median(each[name])))
    attention = best if precision == "int8" else precision
    total = work.weights * each[precision] + work.attention * each[attention]
    return [round(float(ns)) for ns in total]


def _had(made: Sequence[Probe]) -> list[str]:
    return [p for p in PRECISIONS if any(probe.precision == p for probe in made)]


def _fastest(made: Sequence[Probe]) -> Probe:
    by_name = {probe.name: probe for probe in made}
    taken = interleave({name: p.call for name, p in by_name.items()}, rounds=_TRIALS, warmup=2)
    return min(made, key=lambda probe: min(taken[probe.name]) / probe.macs)


def _conv() -> Any:
    """3x3 convolutions as in the middle of a ResNet-18."""
    channels = _CONV[1]
    shape = (channels, channels, 3, 3)
    nodes, weights = [], []
    for layer in range(_LAYERS):
        nodes.append(
            helper.make_node("Conv", [f"x{layer}", f"w{layer}"], [f"y{layer}"], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}"]))
        weights.append(_weights(f"w{layer}", shape))
    return _model(nodes, weights, _CONV, _CONV)


def _gemm() -> Any:
    """The feed-forward layers of a transformer over two cameras of 480x640."""
    nodes, weights = [], []
    for layer in range(2 * _LAYERS):
        size = (_GEMM[1], _HIDDEN) if layer % 2 == 0 else (_HIDDEN, _GEMM[1])
        nodes.append(helper.make_node("Gemm", [f"x{layer}", f"w{layer}"], [f"y{layer}"]))
        nodes.append(helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}"]))
        weights.append(_weights(f"w{layer}", size))
    return _model(nodes, weights, _GEMM, _GEMM)


def _weights(name: str, shape: tuple[int, ...]) -> Any:
    random = np.random.Generator(np.random.PCG64(0))
    values = random.standard_normal(shape, dtype=np.float32) * math.sqrt(2 / math.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def _model(nodes: list[Any], weights: list[Any], given: Any, gives: Any) -> Any:
    last = nodes[-1].output[0]
    inputs = [helper.make_tensor_value_info("x0", TensorProto.FLOAT, given)]
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, gives)]
    graph = helper.make_graph(nodes, "probe", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _sample(model: Any) -> dict[str, Any]:
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    random = np.random.Generator(np.random.PCG64(1))
    return {"x0": np.abs(random.standard_normal(dims, dtype=np.float32))}


def _quantize(file: Path, out: Path, sample: dict[str, Any]) -> None:
    """8-bit as CPUs like it best: unsigned activations, signed weights per channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class One(CalibrationDataReader):
        left = 1

        def get_next(self) -> dict[str, Any] | None:
            self.left -= 1
            return sample if self.left >= 0 else None

    with quiet():
        quantize_static(
            str(file),
            str(out),
            One(),
            op_types_to_quantize=["Conv", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _ort(
    file: Path, precision: str, threads: int, sample: dict[str, Any]
) -> Callable[[], object] | None:
    if precision == "bf16":
        return None  # its CPU kernels have none on x86
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    return lambda: session.run(None, sample)


def _openvino(
    file: Path, precision: str, threads: int, sample: dict[str, Any]
) -> Callable[[], object] | None:
    try:
        import openvino
    except ImportError:
        return None
    one = core()
    if precision == "bf16" and "BF16" not in one.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    request = one.compile_model(one.read_model(file), "CPU", settings).create_infer_request()
    tensor = openvino.Tensor(sample["x0"], shared_memory=True)
    return lambda: request.infer([tensor], share_outputs=True)
