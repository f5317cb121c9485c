"""Placement of quantize/dequantize pairs: float wherever nothing computes in 8 bits.

The quantizer rounds a tensor for all of its readers. Readers that gain nothing by it, such as the
residual additions and norms of a transformer, get the unrounded tensor back: fewer operations and
less error. Changes the model in place; cannot fail on the quantizer's output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

_Makers = dict[str, Any]
_Readers = dict[str, list[Any]]

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
# Operators that a runtime computes in 8 bits between two quantised tensors.
_FUSED = frozenset({"Add", "Relu", "MaxPool"})


def spare_residuals(model: Any) -> None:
    """Give the unrounded tensor to every reader that does not compute in 8 bits.

    A convolution's own output stays rounded for all: only then do runtimes compute it in 8 bits.
    """
    graph = model.graph
    readers: _Readers = defaultdict(list)
    makers: _Makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    outputs = {output.name for output in graph.output}
    for dequantize in [node for node in graph.node if node.op_type == _DQ]:
        quantize = makers.get(dequantize.input[0])
        if quantize is None or quantize.op_type != _Q:
            continue
        tensor, rounded = quantize.input[0], dequantize.output[0]
        maker = makers.get(tensor)
        if maker is None or maker.op_type == "Conv":
            continue
        for node in readers[rounded]:
            if not _in_8_bits(node, makers, readers, outputs):
                node.input[:] = [tensor if name == rounded else name for name in node.input]
    _drop_unread(graph, outputs)


def _in_8_bits(node: Any, makers: _Makers, readers: _Readers, outputs: set[str]) -> bool:
    """Whether a reader of a rounded tensor computes with it as it is."""
    if node.op_type in ("Conv", "Gemm", _Q):
        return True
    rounded = all(name in makers and makers[name].op_type == _DQ for name in node.input)
    if node.op_type not in _FUSED or not rounded or node.output[0] in outputs:
        return False
    after = readers[node.output[0]]
    if len(after) == 1 and after[0].op_type == "Relu":
        after = readers[after[0].output[0]]
    return all(reader.op_type == _Q for reader in after)


def _drop_unread(graph: Any, outputs: set[str]) -> None:
    """Remove quantize/dequantize nodes without readers."""
    while True:
        read_names = {name for node in graph.node for name in node.input} | outputs
        unread = [
            node
            for node in graph.node
            if node.op_type in (_Q, _DQ) and not read_names & set(node.output)
        ]
        if not unread:
            return
        for node in unread:
            graph.node.remove(node)


def round_weights(model: Any, nodes: Sequence[Any]) -> None:
    """Store the constant weights of these Gemm nodes in 8 bits, a scale per output channel."""
    from onnx import helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    rounded: list[Any] = []
    for name in dict.fromkeys(node.input[1] for node in nodes):
        users = [node for node in nodes if node.input[1] == name]
        axis = 0 if any(a.name == "transB" and a.i for a in users[0].attribute) else 1
        values = numpy_helper.to_array(weights[name])
        largest = np.abs(values).max(axis=1 - axis)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        steps = np.rint(values / np.expand_dims(scale, 1 - axis)).astype(np.int8)
        inputs = [f"{name}_8bit", f"{name}_scale"]
        graph.initializer.append(numpy_helper.from_array(steps, inputs[0]))
        graph.initializer.append(numpy_helper.from_array(scale, inputs[1]))
        rounded.append(helper.make_node(_DQ, inputs, [f"{name}_rounded"], axis=axis))
        for node in users:
            node.input[1] = f"{name}_rounded"
        if not any(name in node.input for node in graph.node):
            graph.initializer.remove(weights[name])
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*rounded, *others])
