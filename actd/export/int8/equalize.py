"""Equalize the ranges of a backbone's channels, to lose less precision in 8 bits.

A tensor's 8-bit step is set by its widest channel, too coarse for narrow ones. ReLU, max pooling
and sums commute with a positive factor per channel, so one convolution can be divided by it and the
next multiplied (cross-layer equalization, Nagel et al. 2019). Changes an ONNX model in place; the
actions stay the same up to float32 rounding. Pure except for the inferences that measure ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation

# Operators that commute with a positive factor per channel.
_HOMOGENEOUS = ("Relu", "MaxPool", "Add")
# Share of the difference that goes into the weights: all of it would make theirs as uneven. Of 0.3
# to 0.75, 0.4 left the least error (docs/quantization.md).
_SHARE = 0.4
# Channels with almost no signal are not amplified further.
_FLOOR = 1e-3


@dataclass(slots=True)
class _Group:
    """Tensors that share their channels, and the convolutions that write and read them."""

    writers: list[Any] = field(default_factory=list)
    readers: list[Any] = field(default_factory=list)
    closed: bool = True


def equalize(model: Any, observations: Sequence[Observation]) -> None:
    """Equalize the channels between convolutions by their ranges on `observations`."""
    from onnx import numpy_helper

    groups = _groups(model)
    if not groups:
        return
    tensors = sorted({_data(node) for group in groups for node in group.readers})
    ranges = _ranges(model, tensors, observations)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    for number, group in enumerate(groups):
        widest = np.max([ranges[_data(node)] for node in group.readers], axis=0)
        top = float(widest.max())
        if not top > 0:
            continue
        factor = (np.maximum(widest, _FLOOR * top) / top) ** _SHARE
        # weights (out, in, height, width) and bias (out,) of writers, weights of readers
        changes = [
            *((node, place, 0, 1 / factor) for node in group.writers for place in (1, 2)),
            *((node, 1, 1, factor) for node in group.readers),
        ]
        for node, place, axis, scale in changes:
            if place >= len(node.input):
                continue
            # a copy under a new name: other nodes may share the original
            name = f"{node.input[place]}/{number}.{axis}"
            if name not in initializers:
                values = numpy_helper.to_array(initializers[node.input[place]])
                shape = [-1 if i == axis else 1 for i in range(values.ndim)]
                equalized = (values * scale.reshape(shape)).astype(np.float32)
                initializers[name] = numpy_helper.from_array(equalized, name)
            node.input[place] = name
    used = {name for node in model.graph.node for name in node.input}
    del model.graph.initializer[:]
    model.graph.initializer.extend(t for name, t in initializers.items() if name in used)


def _groups(model: Any) -> list[_Group]:
    """The groups of tensors that nothing but convolutions writes and reads."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    same = _Union()
    by_weights: dict[str, Any] = {}
    for node in graph.node:
        if node.op_type in _HOMOGENEOUS:
            same.join([*node.input, *node.output])
        elif _is_convolution(node, constants):
            # the same weights on images of another size: the same channels
            first = by_weights.setdefault(node.input[1], node)
            same.join([_data(first), _data(node)])
            same.join([first.output[0], node.output[0]])
    groups: dict[str, _Group] = {}

    def group(tensor: str) -> _Group:
        return groups.setdefault(same.root(tensor), _Group())

    for tensor in [*(value.name for value in (*graph.input, *graph.output)), *constants]:
        group(tensor).closed = False
    for node in graph.node:
        if _is_convolution(node, constants):
            group(_data(node)).readers.append(node)
            group(node.output[0]).writers.append(node)
        elif node.op_type not in _HOMOGENEOUS:
            for tensor in (*node.input, *node.output):
                group(tensor).closed = False
    return [g for g in groups.values() if g.closed and g.writers and g.readers]


def _is_convolution(node: Any, constants: set[str]) -> bool:
    grouped = any(a.name == "group" and a.i != 1 for a in node.attribute)
    return node.op_type == "Conv" and not grouped and set(node.input[1:]) <= constants


def _data(node: Any) -> str:
    """The tensor that a convolution reads."""
    name: str = node.input[0]
    return name


def _ranges(
    model: Any, tensors: Sequence[str], observations: Sequence[Observation]
) -> Mapping[str, NDArray[np.float32]]:
    """The largest magnitude in each channel of `tensors`, (N, C, H, W)."""
    import onnx
    import onnxruntime as ort

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    outputs = {value.name for value in probe.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=t) for t in tensors if t not in outputs)
    session = ort.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]
    ranges: dict[str, NDArray[np.float32]] = {}
    for observation in observations:
        arrays = session.run(list(tensors), {name: observation[name] for name in inputs})
        for tensor, values in zip(tensors, arrays, strict=True):
            widest = np.abs(values).max(axis=(0, 2, 3))
            ranges[tensor] = np.maximum(ranges.get(tensor, widest), widest)
    return ranges


class _Union:
    """Disjoint sets of names."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def root(self, name: str) -> str:
        """The name that represents the set of `name`."""
        while (parent := self._parents.get(name, name)) != name:
            name = parent
        return name

    def join(self, names: Sequence[str]) -> None:
        """Merge the sets of these names."""
        for name in names:
            self._parents[self.root(name)] = self.root(names[0])
