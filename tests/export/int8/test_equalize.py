"""Evening out channels: the same function, narrower differences between channels, less error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actd.export.graph.onnx_graph import write_onnx
from actd.export.int8.equalize import _data, _groups, _ranges, equalize
from actd.policy.checkpoint import load_checkpoint
from actd.policy.synthetic import synthetic
from actd.policy.untrained import write_untrained

SMALL = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1}
SHAPE = [1, 4, 8, 8]


def run(model: Any, observation: dict[str, NDArray[Any]]) -> NDArray[Any]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, observation)[0])


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize(
    "cameras", [{"a": (64, 96), "b": (64, 96)}, {"a": (64, 96), "b": (96, 64), "c": (64, 64)}]
)
def test_a_policy_stays_the_same_function(
    backbone: str, cameras: dict[str, tuple[int, int]], tmp_path: Path
) -> None:
    folder = write_untrained(
        tmp_path / "ckpt", cameras=cameras, chunk_size=6, vision_backbone=backbone, **SMALL
    )
    checkpoint = load_checkpoint(folder)
    write_onnx(checkpoint, tmp_path / "model.onnx")
    model = onnx.load(str(tmp_path / "model.onnx"))
    drawn = synthetic(checkpoint, count=3, seed=4)
    expected = [run(model, observation) for observation in drawn]
    groups = _groups(model)
    # all but the first one, which reads images, and the last stage's, whose sum is the outcome
    readers = {node.input[1] for group in groups for node in group.readers}
    assert len(readers) == {"resnet18": 18, "resnet50": 50}[backbone]
    read = sorted({_data(node) for group in groups for node in group.readers})
    before = _ranges(model, read, drawn)
    size = len(model.SerializeToString())
    equalize(model, drawn)
    for observation, actions in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(run(model, observation), actions, rtol=0, atol=1e-4)
    after = _ranges(model, read, drawn)
    uneven = [spread(ranges[t]) for ranges in (before, after) for t in read]
    assert np.mean(uneven[len(read) :]) < 0.9 * np.mean(uneven[: len(read)])
    # cameras of other sizes go on sharing their weights
    assert len(model.SerializeToString()) < 1.05 * size


def spread(ranges: NDArray[np.float32]) -> float:
    """How many powers of ten lie between a wide channel and a narrow one."""
    wide, narrow = np.quantile(ranges, [0.9, 0.1])
    return float(np.log10(wide / max(narrow, 1e-3 * wide)))


def graph(make: Callable[[], list[Any]], more: tuple[str, ...] = ()) -> Any:
    """`x` through nodes that may use the weights w1, w2, w3 and the bias b, to `y`."""
    random = np.random.default_rng(5)
    weights = {
        "w1": random.normal(size=(4, 4, 3, 3)) * np.array([1, 0.1, 3, 0.01]).reshape(4, 1, 1, 1),
        "w2": random.normal(size=(4, 4, 3, 3)),
        "w3": random.normal(size=(4, 4, 3, 3)),
        "b": random.normal(size=4),
        "two": np.full((1, 4, 1, 1), 2.0),
    }
    return helper.make_model(
        helper.make_graph(
            make(),
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", *more)],
            [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


def conv(source: str, weights: str, bias: str, out: str, **attributes: Any) -> Any:
    return helper.make_node("Conv", [source, weights, bias], [out], pads=[1, 1, 1, 1], **attributes)


def node(kind: str, *names: str, **attributes: Any) -> Any:
    return helper.make_node(kind, [*names[:-1]], [names[-1]], **attributes)


PAIR: list[Callable[[], list[Any]]] = [
    lambda: [conv("x", "w1", "b", "h"), node("Relu", "h", "r"), conv("r", "w2", "b", "y")],
    lambda: [
        conv("x", "w1", "b", "h"),
        node("MaxPool", "h", "p", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        conv("p", "w2", "b", "k"),
        node("Add", "k", "p", "s"),
        conv("s", "w3", "b", "y"),
    ],
]


@pytest.mark.parametrize("make", PAIR)
def test_weights_that_others_use_too_are_copied(make: Callable[[], list[Any]]) -> None:
    model = graph(make)
    x = {"x": np.random.default_rng(6).normal(size=SHAPE).astype(np.float32)}
    expected = run(model, x)
    assert len(_groups(model)) == 1
    equalize(model, [x])
    np.testing.assert_allclose(run(model, x), expected, rtol=1e-4, atol=1e-4)
    names = {tensor.name for tensor in model.graph.initializer}
    assert names == {name for n in model.graph.node for name in n.input} & names


def between(kind: str, **attributes: Any) -> Callable[[], list[Any]]:
    return lambda: [
        conv("x", "w1", "b", "h"),
        node(kind, "h", *(["two"] if kind in ("Add", "Mul") else []), "r", **attributes),
        conv("r", "w2", "b", "y"),
    ]


@pytest.mark.parametrize(
    ("make", "more"),
    [
        (between("Sigmoid"), ()),
        (between("LeakyRelu"), ()),
        (between("Mul"), ()),
        (between("Add"), ()),  # a constant: the sum is not homogeneous
        (between("Relu"), ("r",)),  # somebody else is told
        (lambda: [conv("x", "w1", "b", "y")], ()),
    ],
)
def test_what_a_factor_does_not_pass_is_left_alone(
    make: Callable[[], list[Any]], more: tuple[str, ...]
) -> None:
    model = graph(make, more)
    assert _groups(model) == []


def test_a_silent_layer_stays_silent() -> None:
    model = graph(PAIR[0])
    for tensor in model.graph.initializer:
        if tensor.name in ("w1", "b"):
            zeros = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    x = {"x": np.ones(SHAPE, np.float32)}
    equalize(model, [x])
    assert not run(model, x).any()
