"""Convert a float32 ONNX file to float16, for GPUs.

Multiplications are float16. Inputs and outputs stay float32, as does the arithmetic between them
and the network, including its head: float16 has too few digits for a raw joint value far from zero.
So do the transformer's sums and norms, which are few and carry a rounding error to the end: this
halves the error. All types are explicit, as a strongly typed TensorRT network requires. Raises
EngineError when a weight is too large.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from actd.errors import EngineError

# The first and last operators of the network: outside of these, values are in physical units.
_NETWORK = frozenset({"Gemm", "MatMul", "Conv", "Concat"})


def to_fp16(model: Path, out: Path) -> None:
    """Write the float16 form of `model` to `out`."""
    import onnx

    proto = onnx.shape_inference.infer_shapes(onnx.load(str(model)))
    _Graph(proto.graph, model).convert()
    del proto.graph.value_info[:]
    onnx.checker.check_model(proto)
    onnx.save(proto, str(out))


class _Graph:
    """A graph whose float tensors become float16, except those that need more digits."""

    def __init__(self, graph: Any, source: Path) -> None:
        from onnx import TensorProto

        self.graph = graph
        self.source = source
        self.float32, self.float16 = TensorProto.FLOAT, TensorProto.FLOAT16
        self.constants = {t.name: t for t in graph.initializer if t.data_type == self.float32}
        self.floats = {
            info.name
            for info in (*graph.input, *graph.value_info, *graph.output)
            if info.type.tensor_type.elem_type == self.float32
        }
        self.exact = (_physical(graph) | _sums(graph)) & self.floats
        self.nodes: list[Any] = []
        self.added: set[str] = set()

    def convert(self) -> None:
        """Change the graph in place."""
        for node in self.graph.node:
            exact = node.output[0] in self.exact
            node.input[:] = [self._read(name, exact) for name in node.input]
            if node.op_type == "Cast" and node.output[0] in self.floats and not exact:
                next(a for a in node.attribute if a.name == "to").i = self.float16
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        read_names = {name for node in self.nodes for name in node.input}
        tensors = [tensor for tensor in self.graph.initializer if tensor.name in read_names]
        del self.graph.initializer[:]
        self.graph.initializer.extend(tensors)

    def _read(self, name: str, exact: bool) -> str:
        """The tensor with the values of `name` in float32 if `exact`, else in float16."""
        from onnx import helper

        if name in self.constants:
            return name if exact else self._to_half(name)
        if name not in self.floats or exact == (name in self.exact):
            return name
        cast, to = (f"{name}_float32", self.float32) if exact else (f"{name}_half", self.float16)
        if cast not in self.added:
            self.added.add(cast)
            self.nodes.append(helper.make_node("Cast", [name], [cast], name=cast, to=to))
        return cast

    def _to_half(self, name: str) -> str:
        from onnx import numpy_helper

        half = f"{name}_half"
        if half not in self.added:
            self.added.add(half)
            values = numpy_helper.to_array(self.constants[name])
            largest = float(np.abs(values).max(initial=0.0))
            if largest > float(np.finfo(np.float16).max):
                raise EngineError(
                    f"{self.source}: {name}: {largest:g} does not fit float16; use a float32 engine"
                )
            tensor = numpy_helper.from_array(values.astype(np.float16), half)
            self.graph.initializer.append(tensor)
        return half


def _physical(graph: Any) -> set[str]:
    """Tensors from the inputs to the network and from its head to the outputs."""
    from onnx import TensorProto

    outputs = {o.name for o in graph.output}
    # images are bytes, and are cast to float16 directly
    from_inputs = {i.name for i in graph.input if i.type.tensor_type.elem_type == TensorProto.FLOAT}
    head_inputs, from_head = set(outputs), set(outputs)
    for node in graph.node:
        if node.op_type not in _NETWORK and from_inputs & set(node.input):
            from_inputs.update(node.output)
    for node in reversed(graph.node):
        if head_inputs & set(node.output):
            # the head too: its output must not be rounded again
            from_head.update(node.output)
            head_inputs.update(() if node.op_type in _NETWORK else node.input)
    return from_inputs | from_head


def _sums(graph: Any) -> set[str]:
    """Outputs of the transformer's norms, and the residual sums that are their inputs."""
    sums: set[str] = set()
    norm_inputs: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type == "LayerNormalization" or (
            node.op_type == "Add" and norm_inputs & set(node.output)
        ):
            sums.update(node.output)
            norm_inputs.update(node.input)
    return sums
