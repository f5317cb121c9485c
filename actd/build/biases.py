"""Takes out of every 8-bit layer the shift that rounding gives its mean output.

Rounding what a layer multiplies is not fair on average: pixels less a mean colour that is no
whole number are all rounded the same way. The mean over some frames is known beforehand, so it
goes into the layer's bias, which costs nothing. Works on models in memory; fails only as what it
calls does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation

Floats = NDArray[np.float64]


class _Rounding(NamedTuple):
    """How a layer's input and its weights are rounded: scales, a zero point, its type's limits."""

    scale: Floats
    zero: Floats
    limits: np.iinfo[Any]
    weight_scale: Floats


def corrections(
    model: Any, quantised: Any, observations: Sequence[Observation]
) -> dict[str, Floats]:
    """What to add to the bias (outputs,) of every node that is 8-bit in `quantised`.

    `model` is the float32 graph that it was made from, with the same names.
    """
    roundings = _roundings(quantised)
    nodes = [node for node in model.graph.node if node.name in roundings]
    means: dict[str, Floats] = {}
    for tensors in _inputs(model, nodes, observations):
        for node, tensor in zip(nodes, tensors, strict=True):
            found = _means(tensor, node.op_type, roundings[node.name]) / len(observations)
            means[node.name] = means.get(node.name, np.zeros_like(found)) + found
    weights = _constants(model)
    return {
        node.name: _shift(node, weights[node.input[1]], means[node.name], roundings[node.name])
        for node in nodes
    }


def correct(model: Any, shifts: Mapping[str, Floats]) -> None:
    """Add the shifts to the biases of these nodes, in place."""
    from onnx import numpy_helper

    constants = _constants(model)
    for node in model.graph.node:
        if node.name in shifts:
            bias = sum((constants[name] for name in node.input[2:]), shifts[node.name])
            # one of its own: another node may share the old one
            name = f"{node.name}_bias"
            model.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), name))
            node.input[2:] = [name]


def _roundings(quantised: Any) -> dict[str, _Rounding]:
    """Of every node whose input and weights are both rounded."""
    constants = _constants(quantised)
    makers = {name: node for node in quantised.graph.node for name in node.output}
    found = {}
    for node in quantised.graph.node:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        sources = [makers[name] for name in node.input[:2] if name in makers]
        if [source.op_type for source in sources] == ["DequantizeLinear"] * 2:
            scale, zero = (constants[name] for name in sources[0].input[1:3])
            weight_scale = constants[sources[1].input[1]]
            found[node.name] = _Rounding(scale, zero, np.iinfo(zero.dtype), weight_scale)
    return found


def _inputs(model: Any, nodes: Sequence[Any], observations: Sequence[Observation]) -> Any:
    """The first input of every node, for one observation after the other."""
    import onnxruntime
    from onnx import TensorProto, helper

    names = list(dict.fromkeys(node.input[0] for node in nodes))
    shown = copy.deepcopy(model)
    for name in names:
        shown.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for observation in observations:
        values = dict(zip(names, session.run(names, observation), strict=True))
        yield [values[node.input[0]] for node in nodes]


def _means(tensor: NDArray[np.float32], operator: str, rounding: _Rounding) -> Floats:
    """Mean of each channel as it is, and as rounded: (2, channels)."""
    axes = (0, 2, 3) if operator == "Conv" else (0,)
    scale, zero, limits = np.float32(rounding.scale), np.float32(rounding.zero), rounding.limits
    steps = np.clip(np.rint(tensor / scale) + zero, limits.min, limits.max)
    rounded = (steps - zero) * scale
    return np.stack([values.mean(axis=axes, dtype=np.float64) for values in (tensor, rounded)])


def _shift(node: Any, weights: Floats, means: Floats, rounding: _Rounding) -> Floats:
    """Mean of the layer's outputs in float less that in 8 bits; picture borders are neglected."""
    transposed = node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)
    weights = weights if transposed else weights.T
    scale = rounding.weight_scale.reshape(-1, *[1] * (weights.ndim - 1))
    rounded = np.rint(weights / scale) * scale
    taps = (*weights.shape[:2], math.prod(weights.shape[2:]))
    shift: Floats = (
        weights.reshape(taps).sum(axis=2) @ means[0] - rounded.reshape(taps).sum(axis=2) @ means[1]
    )
    return shift


def _constants(model: Any) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
