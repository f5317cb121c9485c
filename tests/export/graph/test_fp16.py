"""The float16 form: exact where values are physical, close everywhere else, typed throughout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from actd.engine.ort import OUTPUT
from actd.engine.recipe import load_recipe
from actd.engine.verify import compare
from actd.errors import EngineError
from actd.export.graph.fp16 import to_fp16
from actd.export.graph.onnx_graph import write_onnx
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.network import Policy
from actd.policy.synthetic import synthetic
from actd.policy.untrained import write_untrained


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A policy of motor ticks: values near 2048 whose spread float16 could not tell."""
    folder = write_untrained(
        tmp_path_factory.mktemp("checkpoint"),
        cameras={"a": (64, 96), "b": (64, 96)},
        action_dim=3,
        state_dim=3,
        chunk_size=8,
        dim_model=64,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
        state_mean=[2048.0, 2048.0, 2048.0],
        state_std=[0.5, 0.5, 0.5],
        action_mean=[2048.0, 2048.0, 2048.0],
        action_std=[0.5, 0.5, 0.5],
    )
    return load_checkpoint(folder)


@pytest.fixture(scope="module")
def half(far: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half")
    write_onnx(far, folder / "model.onnx")
    to_fp16(folder / "model.onnx", folder / "half.onnx")
    return folder / "half.onnx"


def answers(file: Path, observations: list[dict[str, Any]]) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.stack([session.run([OUTPUT], observation)[0] for observation in observations])


def kinds_of(values: Iterable[Any]) -> list[tuple[str, int]]:
    return [(value.name, value.type.tensor_type.elem_type) for value in values]


def test_it_is_as_exact_as_the_engines_ask(far: Checkpoint, half: Path) -> None:
    observations = synthetic(far, count=4, seed=1)
    policy = Policy(far)
    expected = np.stack([policy.infer(observation) for observation in observations])
    parity = compare(answers(half, observations), expected, [0.5, 0.5, 0.5])
    tolerance = load_recipe("cuda-fp16").tolerance
    assert 0 < parity.max_std <= tolerance.max_std
    assert parity.p99_std <= tolerance.p99_std


def test_its_state_is_read_in_full(far: Checkpoint, half: Path) -> None:
    # a tenth of a standard deviation is less than float16 can tell of 2048
    (observation,) = synthetic(far, count=1, seed=1)
    moved = observation | {"observation.state": observation["observation.state"] + 0.05}
    found = answers(half, [observation, moved])
    assert np.abs(found[1] - found[0]).max() > 1e-4


def test_its_boundary_is_the_same(half: Path) -> None:
    graph = onnx.load(str(half)).graph
    assert dict(kinds_of((*graph.input, *graph.output))) == {
        "observation.state": TensorProto.FLOAT,
        "observation.images.a": TensorProto.UINT8,
        "observation.images.b": TensorProto.UINT8,
        OUTPUT: TensorProto.FLOAT,
    }


def test_types_are_written_out(half: Path) -> None:
    proto = onnx.load(str(half))
    onnx.checker.check_model(proto, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    kinds = dict(kinds_of(inferred.graph.value_info))
    kinds |= {t.name: t.data_type for t in inferred.graph.initializer}
    heavy = [n for n in proto.graph.node if n.op_type in ("Conv", "Gemm", "MatMul", "Softmax")]
    assert len(heavy) == 20 + 11 + 4 + 2
    head = [node for node in heavy if "action_head.weight" in node.input]
    for node in heavy:
        kind = TensorProto.FLOAT if node in head else TensorProto.FLOAT16
        assert {kinds[name] for name in (*node.input, *node.output)} == {kind}
    norms = [node for node in proto.graph.node if node.op_type == "LayerNormalization"]
    assert len(norms) == 5
    for node in norms:
        assert {kinds[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT}
    # bytes become float16 at once, before they are moved
    images = {name for name, kind in kinds_of(proto.graph.input) if kind == TensorProto.UINT8}
    first = [node for node in proto.graph.node if images & set(node.input)]
    assert [(n.op_type, n.attribute[0].i) for n in first] == [("Cast", TensorProto.FLOAT16)] * 2
    assert half.stat().st_size < 0.52 * half.with_name("model.onnx").stat().st_size


def test_a_weight_beyond_float16_is_refused(tmp_path: Path) -> None:
    values = {"encoder.weight": 1e5, "head.weight": 1e5}
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "encoder.weight"], ["y"]),
            helper.make_node("Gemm", ["y", "head.weight"], [OUTPUT]),
        ],
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3))],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(np.full((3, 3), v, np.float32), k) for k, v in values.items()],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset]), str(tmp_path / "model.onnx"))
    with pytest.raises(EngineError, match=r"encoder\.weight: 100000 does not fit float16"):
        to_fp16(tmp_path / "model.onnx", tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()
