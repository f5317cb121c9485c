"""Turns a float32 ONNX file into a float16 one, for GPUs.

What multiplies is float16. Inputs and outputs stay as they are, and so does the arithmetic between
them and the network, its head included: a raw joint value far from zero has not digits enough in
float16. So do the transformer's sums and norms, which are few and carry a rounding error to the
end: with them the error is half as large. Types are written out in full, as a strongly typed
TensorRT network wants them. Raises EngineError when a weight is too large.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from actd.errors import EngineError

# Where the network begins and ends: outside of these, values are in physical units.
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
    """A graph whose float tensors become float16, but for those that need more digits."""

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
        self.made: set[str] = set()

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
        read = {name for node in self.nodes for name in node.input}
        tensors = [tensor for tensor in self.graph.initializer if tensor.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(tensors)

    def _read(self, name: str, exact: bool) -> str:
        """The tensor that has the values of `name` in the type that is wanted."""
        from onnx import helper

        if name in self.constants:
            return name if exact else self._halved(name)
        if name not in self.floats or exact == (name in self.exact):
            return name
        cast, to = (f"{name}_float32", self.float32) if exact else (f"{name}_half", self.float16)
        if cast not in self.made:
            self.made.add(cast)
            self.nodes.append(helper.make_node("Cast", [name], [cast], name=cast, to=to))
        return cast

    def _halved(self, name: str) -> str:
        from onnx import numpy_helper

        half = f"{name}_half"
        if half not in self.made:
            self.made.add(half)
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
    # images are bytes, and become float16 at once
    after = {i.name for i in graph.input if i.type.tensor_type.elem_type == TensorProto.FLOAT}
    before, found = set(outputs), set(outputs)
    for node in graph.node:
        if node.op_type not in _NETWORK and after & set(node.input):
            after.update(node.output)
    for node in reversed(graph.node):
        if before & set(node.output):
            # the head too: what it gives should not be rounded once more
            found.update(node.output)
            before.update(() if node.op_type in _NETWORK else node.input)
    return after | found


def _sums(graph: Any) -> set[str]:
    """What the transformer's norms give, and the sums of layer and skip that they take."""
    found: set[str] = set()
    read: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type == "LayerNormalization" or (
            node.op_type == "Add" and read & set(node.output)
        ):
            found.update(node.output)
            read.update(node.input)
    return found
