"""The lean form of a policy: the same function, and a graph without what was folded away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from actd.engine.ort import OUTPUT
from actd.export.graph.onnx_graph import write_onnx
from actd.export.graph.optimize import OptimizedPolicy
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.network import Policy, tensor_shapes
from actd.policy.spec import Architecture, Feature, PolicySpec, Training
from actd.policy.synthetic import synthetic
from tests import golden

TINY = Architecture("resnet18", False, False, 32, 2, 48, "relu", 2, 1, 32)
STATE = Feature("observation.state", "STATE", (3,))
ENV = Feature("observation.environment_state", "ENV", (2,))
PRE_NORM = replace(TINY, pre_norm=True)


def camera(name: str, height: int = 32, width: int = 48) -> Feature:
    return Feature(f"observation.images.{name}", "VISUAL", (3, height, width))


CASES = {
    "one camera": (TINY, (STATE, camera("a"))),
    "sizes that mix": (TINY, (camera("a"), STATE, camera("b", 38, 17), camera("c"))),
    "gelu, two decoders": (
        replace(TINY, feedforward_activation="gelu", n_decoder_layers=2),
        (STATE, camera("a"), camera("b")),
    ),
    "pre-norm, two decoders": (replace(PRE_NORM, n_decoder_layers=2), (STATE, camera("a"))),
    "pre-norm": (PRE_NORM, (ENV, STATE, camera("a"))),
    "dilated": (replace(TINY, replace_final_stride_with_dilation=True), (STATE, camera("a"))),
    "no cameras": (TINY, (STATE, ENV)),
    "no vectors": (TINY, (camera("a"), camera("b"))),
}


def checkpoint_of(a: Architecture, inputs: tuple[Feature, ...], modes: str) -> Checkpoint:
    """A checkpoint with random weights; every camera has statistics of its own."""
    spec = PolicySpec(inputs, Feature("action", "ACTION", (3,)), 6, 6, None, a)
    random = np.random.default_rng(0)
    statistics = {}
    for feature in (*inputs, spec.action):
        low = random.uniform(0.1, 0.4, feature.shape[0]).astype(np.float32)
        span = random.uniform(0.2, 0.5, feature.shape[0]).astype(np.float32)
        statistics[feature.key] = {"mean": low, "std": span, "min": low, "max": low + span}
    tensors = {
        key: torch.from_numpy(golden.weight(key, shape))
        for key, shape in tensor_shapes(spec).items()
    }
    modes_of = {feature.key: modes for feature in (*inputs, spec.action)}
    return Checkpoint(
        Path("made"),
        Path("made"),
        spec,
        statistics,
        modes_of,
        1e-8,
        False,
        tensors,
        "",
        "made here",
        (),
        (),
        Training(),
    )


def answers(module: torch.nn.Module, checkpoint: Checkpoint, seed: int) -> NDArray[Any]:
    (observation,) = synthetic(checkpoint, count=1, seed=seed)
    inputs = [torch.from_numpy(observation[f.key]) for f in checkpoint.spec.inputs]
    with torch.inference_mode():
        return np.asarray(module(*inputs).numpy())


@pytest.fixture
def double() -> Iterator[None]:
    """What torch makes is in double precision, where rounding cannot hide an error."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("case", "modes"),
    [
        *((case, "MEAN_STD") for case in CASES),
        ("sizes that mix", "MIN_MAX"),
        ("one camera", "IDENTITY"),
    ],
)
def test_the_lean_form_is_the_same_function(case: str, modes: str) -> None:
    checkpoint = checkpoint_of(*CASES[case], modes)
    plain = Policy(checkpoint).double()
    plain_positions = plain.network.positions
    plain.network.positions = lambda sizes: plain_positions(sizes).double()  # type: ignore[method-assign]
    expected = answers(plain, checkpoint, seed=3)
    np.testing.assert_allclose(
        answers(OptimizedPolicy(plain), checkpoint, seed=3), expected, rtol=0, atol=1e-9
    )
    assert np.abs(expected - answers(plain, checkpoint, seed=4)).max() > 1e-3


@pytest.mark.parametrize("case", golden.CASES)
def test_the_lean_form_rounds_as_little(case: str, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(golden.write_checkpoint(case, tmp_path))
    policy = Policy(checkpoint)
    lean = OptimizedPolicy(policy)
    for i in range(golden.OBSERVATIONS):
        observation = golden.observation(case, i)
        inputs = [torch.from_numpy(observation[f.key]) for f in checkpoint.spec.inputs]
        with torch.inference_mode():
            found, expected = lean(*inputs).numpy(), policy(*inputs).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)


def test_the_policy_is_left_as_it_was() -> None:
    checkpoint = checkpoint_of(*CASES["sizes that mix"], "MEAN_STD")
    policy = Policy(checkpoint)
    before = {key: tensor.clone() for key, tensor in policy.state_dict().items()}
    OptimizedPolicy(policy)
    assert all(torch.equal(before[key], tensor) for key, tensor in policy.state_dict().items())


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two cameras alike, two encoder layers, one decoder layer."""
    checkpoint = checkpoint_of(TINY, (STATE, camera("a"), camera("b")), "MEAN_STD")
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_onnx(checkpoint, file)
    return onnx.load(str(file)).graph


def test_nothing_constant_is_computed(graph: Any) -> None:
    counts = Counter(node.op_type for node in graph.node)
    # a resnet18 once for both cameras, its norms gone, its 1x1 projection a Gemm
    assert counts["Conv"] == 20
    # each skip of the backbone, positions and skips of the layers, the actions' middle
    assert counts["Add"] == 8 + 2 * 4 + 3 + 1
    # a layer has three beside the one for queries, keys and values, which the decoder's first
    # needs for keys and values alone; then state, images and actions
    assert counts["Gemm"] == 2 * 4 + 4 + 3
    # the decoder's first self-attention is a constant
    assert counts["Softmax"] == 3
    # bytes become floats before anything else
    images = {i.name for i in graph.input if i.type.tensor_type.elem_type == onnx.TensorProto.UINT8}
    assert len(images) == 2
    readers = [node.op_type for node in graph.node if images & set(node.input)]
    assert readers == ["Cast", "Cast"]


def test_no_constant_is_left_to_fold(graph: Any) -> None:
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        assert not set(filter(None, node.input)) <= known, node


def test_weights_bear_the_checkpoints_names(graph: Any) -> None:
    names = [n.input[1] for n in graph.node if n.op_type in ("Conv", "Gemm")]
    roots = ("backbone.", "encoder.layers.", "decoder.layers.", "encoder_", "action_head.")
    assert all(name.startswith(roots) and name.endswith(".weight") for name in names), names
    assert "encoder.layers.0.self_attn.in_proj.weight" in names
    assert [output.name for output in graph.output] == [OUTPUT]
