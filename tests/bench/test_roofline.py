"""What the roofline counts, and how it follows from what the machine did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.roofline import Probe, Work, bound_ns, count, probes


def weights(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def test_multiplications_are_those_of_the_layers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Reshape", ["r", "rows"], ["t"]),
        helper.make_node("Gemm", ["t", "w"], ["g"], transB=1),
        helper.make_node("Transpose", ["g"], ["gt"], perm=[1, 0]),
        helper.make_node("MatMul", ["g", "gt"], ["scores"]),
        helper.make_node("MatMul", ["scores", "v"], ["y"]),
    ]
    initializers = [
        weights("kernel", 6, 3, 3, 3),
        weights("w", 5, 6),
        weights("v", 20, 7),
        numpy_helper.from_array(np.array([20, 6]), "rows"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [20, 7])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "m.onnx")
    conv = 6 * 4 * 5 * (3 * 3 * 3)
    gemm, product = 20 * 5 * 6, 20 * 7 * 20
    assert count(tmp_path / "m.onnx") == Work(conv + gemm + product, 20 * 20 * 5)


def test_the_bound_takes_weights_in_8_bit_and_attention_in_the_fastest_float() -> None:
    macs = {"int8": 100, "bf16": 100, "fp32": 100}
    taken = {"int8": [100, 200], "bf16": [200, 200], "fp32": [400, 400]}
    work = Work(weights=1000, attention=100)
    assert bound_ns(work, taken, macs, "int8") == [1000 + 200, 2000 + 200]
    assert bound_ns(work, taken, macs, "bf16") == [2200, 2200]
    assert bound_ns(work, taken, macs, "fp32") == [4400, 4400]


def test_products_run_and_say_how_much_they_multiply(tmp_path: Path) -> None:
    found = probes(1, tmp_path)
    assert {"int8", "fp32"} <= set(found)
    sizes = {"conv": 2 * 256 * 60 * 80 * 256 * 9, "gemm": 4 * 602 * 512 * 3200}
    for precision, probe in found.items():
        assert isinstance(probe, Probe)
        assert probe.precision == precision
        assert probe.macs == sizes[probe.name.rpartition("-")[2]]
