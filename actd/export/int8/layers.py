"""The layers of an ONNX graph that can be 8-bit: their nodes and their computational cost.

A layer is a module of the network: a residual block, one attention, one linear layer. Nodes are
assigned by the module path in the names of their weights, or in the scope that torch's exporter
recorded. Cannot fail: a node whose module is unknown is a layer of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPERATORS = ("Conv", "Gemm")

# Measured with ONNX Runtime: a float tensor among 8-bit ones costs 4 ns per element to write and
# convert, and 1000 multiply-adds in float 6 ns more than in 8 bits.
_ELEMENT_MACS = 600

_SCOPES = "pkg.torch.onnx.name_scopes"
_LAYER = re.compile(
    r"backbone\.layer\d+\.\d+|backbone\.conv1"
    r"|(?:en|de)coder\.layers\.\d+\.\w+|encoder_\w+_proj|action_head"
)


@dataclass(frozen=True, slots=True)
class QuantizableLayer:
    """Names of a layer's nodes, and their multiply-adds and output elements per inference.

    `linear`: it has no convolution.
    """

    nodes: tuple[str, ...] = ()
    macs: int = 0
    elements: int = 0
    linear: bool = True

    @property
    def float_cost(self) -> int:
        """Additional cost of float over 8 bits, in multiply-adds."""
        return self.macs + _ELEMENT_MACS * self.elements


def layer_names(model: Path) -> dict[str, str]:
    """The layer of every node in an exported file, by node name."""
    import onnx

    graph = onnx.load(str(model), load_external_data=False).graph
    return {node.name: _layer_of(node) for node in graph.node if node.op_type in OPERATORS}


def find_layers(model: Any, names: Mapping[str, str]) -> dict[str, QuantizableLayer]:
    """The layers of a shape-inferred model in the graph's order.

    `names` as from `layer_names` of the file that it was made from, whose nodes it may have
    renamed. Only nodes with constant weights count: nothing else is quantised.
    """
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = {
        info.name: tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
        for info in (*model.graph.value_info, *model.graph.output)
    }
    layers: dict[str, QuantizableLayer] = {}
    for node in model.graph.node:
        if node.op_type not in OPERATORS or node.input[1] not in weights:
            continue
        name = names.get(node.name) or _layer_of(node)
        output = shapes.get(node.output[0], ())
        macs = _macs(node, weights[node.input[1]], output)
        previous = layers.get(name, QuantizableLayer())
        layers[name] = QuantizableLayer(
            nodes=(*previous.nodes, node.name),
            macs=previous.macs + macs,
            elements=previous.elements + math.prod(output),
            linear=previous.linear and node.op_type == "Gemm",
        )
    return layers


def _layer_of(node: Any) -> str:
    notes = [entry.value for entry in node.metadata_props if entry.key == _SCOPES]
    for text in (*node.input[1:], node.name, *notes):
        if match := _LAYER.search(text):
            return match[0]
    return str(node.name)


def _macs(node: Any, weight: tuple[int, ...], output: tuple[int, ...]) -> int:
    """Multiply-adds: each weight is used once per output position (pixel or row)."""
    positions = output[:1] + output[2:] if node.op_type == "Conv" else output[:1]
    return math.prod(weight) * math.prod(positions)
