"""The 8-bit forms of a graph: which nodes, which ranges, how exact, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from onnxruntime import InferenceSession

from actd.engine.load import load_engine
from actd.engine.manifest import read_manifest
from actd.engine.recipe import Graph, Method
from actd.errors import EngineError
from actd.export import export
from actd.export.export import export_checkpoint
from actd.export.graph.onnx_graph import write_onnx
from actd.export.int8.quantize import Quantizer
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.network import Policy
from actd.policy.synthetic import synthetic
from tests.engine.recipes import recipes_with

STD = np.array([0.1, 0.2, 0.3])
EDGES = ("encoder_robot_state_input_proj", "action_head")


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> Checkpoint:
    return load_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def float_model(policy: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("float") / "model.onnx"
    write_onnx(policy, file)
    return file


@pytest.fixture(scope="module")
def quantizer(
    float_model: Path, policy: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Quantizer:
    quantizer = Quantizer(float_model, tmp_path_factory.mktemp("quantizer"))
    quantizer.calibrate("minmax", synthetic(policy, count=12, seed=1))
    return quantizer


def error(model: Path, policy: Checkpoint) -> float:
    """Largest error on unseen observations, in standard deviations."""
    session = InferenceSession(str(model))
    torch = Policy(policy)
    return max(
        float(np.abs((session.run(None, o)[0] - torch.infer(o)) / STD).max())
        for o in synthetic(policy, count=4, seed=2)
    )


def makers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in graph.node for name in node.output}


def computing(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, bool]]:
    """Every convolution and linear layer, and whether what it multiplies is 8-bit."""
    made = makers(graph)
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            sources = [made.get(name) for name in node.input[:2]]
            yield node, all(s is not None and s.op_type == "DequantizeLinear" for s in sources)


def test_layers_are_the_modules_of_training(quantizer: Quantizer) -> None:
    expected = {"backbone.conv1", "encoder_img_feat_input_proj", *EDGES}
    expected |= {f"backbone.layer{stage}.{block}" for stage in range(1, 5) for block in range(2)}
    expected |= {f"encoder.layers.0.{part}" for part in ("self_attn", "linear1", "linear2")}
    expected |= {f"decoder.layers.0.{part}" for part in ("multihead_attn", "linear1", "linear2")}
    assert expected == set(quantizer.layers)
    assert quantizer.layers["encoder.layers.0.linear1"].linear
    assert not quantizer.layers["backbone.conv1"].linear


def test_multiply_adds_are_counted(quantizer: Quantizer) -> None:
    # 7x7 over 3 colours, 64 kernels, half of 64x96
    assert quantizer.layers["backbone.conv1"].macs == 7 * 7 * 3 * 64 * 32 * 48
    # one state, and six image tokens with the latent's and the state's
    assert quantizer.layers["encoder_robot_state_input_proj"].macs == 3 * 64
    assert quantizer.layers["encoder.layers.0.linear1"].macs == 8 * 64 * 64
    assert quantizer.float_share(list(quantizer.layers)) == 0
    assert quantizer.float_share([]) == 1
    conv1 = quantizer.float_share(set(quantizer.layers) - {"backbone.conv1"})
    assert 0 < conv1 < 0.2


@pytest.mark.parametrize("form", ["u8s8", "s8s8"])
def test_what_is_8_bit_and_how_exact(
    form: Graph, quantizer: Quantizer, policy: Checkpoint, tmp_path: Path
) -> None:
    layers = set(quantizer.layers) - set(EDGES)
    quantizer.static(form, "minmax", tmp_path / "m.onnx", layers)
    model = onnx.load(str(tmp_path / "m.onnx"))
    onnx.checker.check_model(model)
    nodes = {node.name: is_8_bit for node, is_8_bit in computing(model.graph)}
    wanted = {node for name in layers for node in quantizer.layers[name].nodes}
    assert {name for name, is_8_bit in nodes.items() if is_8_bit} == wanted
    # Sums of 8 bits saturate on processors without VNNI.
    assert 0 < error(tmp_path / "m.onnx", policy) < 0.4


def test_one_layer_alone_is_as_exact_as_it_is_small(
    quantizer: Quantizer, policy: Checkpoint, tmp_path: Path
) -> None:
    quantizer.static("u8s8", "minmax", tmp_path / "all.onnx", list(quantizer.layers))
    quantizer.static("u8s8", "minmax", tmp_path / "one.onnx", ["backbone.layer1.0"])
    quantizer.static("u8s8", "minmax", tmp_path / "none.onnx", [])
    errors = [error(tmp_path / f"{name}.onnx", policy) for name in ("all", "one", "none")]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 1e-5
    graph = onnx.load(str(tmp_path / "one.onnx")).graph
    assert sum(is_8_bit for _, is_8_bit in computing(graph)) == 2


def test_only_what_computes_in_8_bits_is_rounded(quantizer: Quantizer, tmp_path: Path) -> None:
    quantizer.static("u8s8", "minmax", tmp_path / "m.onnx", list(quantizer.layers))
    graph = onnx.load(str(tmp_path / "m.onnx")).graph
    made = makers(graph)
    for node in graph.node:
        if node.op_type == "LayerNormalization":
            (added,) = (made[name] for name in node.input[:1])
            sources = {made[name].op_type for name in added.input if name in made}
            assert "DequantizeLinear" not in sources
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    assert all(set(node.output) & used for node in graph.node)
    assert all(tensor.name in used for tensor in graph.initializer)


def test_weights_for_cpus_have_seven_bits(quantizer: Quantizer, tmp_path: Path) -> None:
    quantizer.static("u8s8", "minmax", tmp_path / "m.onnx", list(quantizer.layers))
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(str(tmp_path / "m.onnx")).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and tensor.dims and len(tensor.dims) > 1
    ]
    assert max(int(np.abs(array.astype(int)).max()) for array in weights) == 64


def test_tensorrt_form_is_symmetric_with_float_biases(quantizer: Quantizer, tmp_path: Path) -> None:
    quantizer.static("s8s8", "minmax", tmp_path / "m.onnx", list(quantizer.layers))
    graph = onnx.load(str(tmp_path / "m.onnx")).graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    zero_points = [
        values[node.input[2]] for node in graph.node if node.op_type.endswith("tizeLinear")
    ]
    assert zero_points
    assert all(z.dtype == np.int8 and not z.any() for z in zero_points)
    assert not any(v.dtype == np.int32 for v in values.values())


def test_ranges_below_zero_end_at_a_relu(quantizer: Quantizer, tmp_path: Path) -> None:
    quantizer.static("u8s8", "minmax", tmp_path / "m.onnx", ["backbone.conv1"])
    graph = onnx.load(str(tmp_path / "m.onnx")).graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    (conv,) = (node for node, is_8_bit in computing(graph) if is_8_bit)
    (quantize,) = (node for node in graph.node if conv.output[0] in node.input)
    assert quantize.op_type == "QuantizeLinear"
    assert values[quantize.input[2]] == 0


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_every_method_calibrates(
    method: Method, quantizer: Quantizer, policy: Checkpoint, tmp_path: Path
) -> None:
    quantizer.calibrate(method, synthetic(policy, count=2, seed=1))
    quantizer.static("u8s8", method, tmp_path / "m.onnx", ["backbone.layer1.0"])
    # Sums of 8 bits saturate on processors without VNNI.
    assert 0 < error(tmp_path / "m.onnx", policy) < 0.4


def test_calibration_runs_once(quantizer: Quantizer) -> None:
    # a second one would fail on the empty list of observations
    quantizer.calibrate("minmax", [])


def test_forms_without_calibration(
    quantizer: Quantizer, policy: Checkpoint, tmp_path: Path
) -> None:
    linear = [k for k, layer in quantizer.layers.items() if layer.linear and k not in EDGES]
    quantizer.dynamic(tmp_path / "dynamic.onnx", linear)
    quantizer.weights(tmp_path / "weights.onnx", linear)
    count = sum(len(quantizer.layers[name].nodes) for name in linear)
    found = {
        name: Counter(n.op_type for n in onnx.load(str(tmp_path / f"{name}.onnx")).graph.node)
        for name in ("dynamic", "weights")
    }
    assert found["dynamic"]["MatMulInteger"] == count
    assert found["weights"]["DequantizeLinear"] == count
    convolutions = [layer for layer in quantizer.layers.values() if not layer.linear]
    assert all(
        operators["Conv"] == sum(len(layer.nodes) for layer in convolutions)
        for operators in found.values()
    )
    for name in found:
        onnx.checker.check_model(str(tmp_path / f"{name}.onnx"))
        assert 0 < error(tmp_path / f"{name}.onnx", policy) < 0.3


def test_without_calibration_it_says_so_and_stays_exact(checkpoint: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    (built,) = export_checkpoint(checkpoint, tmp_path / "out", ["ort-int8"], None, lines.append)
    said = [line for line in lines if "no calibration data" in line]
    assert len(said) == 1
    assert all(words in said[0] for words in ("only weights of the linear", "MB", "--calibration"))
    calibration = built.manifest.calibration
    assert calibration is not None
    assert (calibration.form, calibration.source, calibration.frames) == ("dynamic", None, 0)
    # a ResNet is nearly all convolutions
    assert calibration.float_share > 0.9
    load_engine(tmp_path / "out/ort-int8").close()


@pytest.fixture(scope="module")
def frames(policy: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames that count as recorded."""
    file = tmp_path_factory.mktemp("frames") / "seen.npz"
    drawn = synthetic(policy, count=20, seed=9)
    np.savez(file, **{key: np.stack([o[key] for o in drawn]) for key in drawn[0]})
    return file


@pytest.mark.slow
def test_layers_are_kept_float_until_it_is_exact_enough(
    checkpoint: Path, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(export, "load_recipe", recipes_with(0.05))
    (built,) = export_checkpoint(checkpoint, tmp_path / "out", ["ort-int8"], frames, lines.append)
    calibration = built.manifest.calibration
    assert calibration is not None
    assert (calibration.form, calibration.source) == ("static", str(frames))
    assert built.manifest.rebuild.endswith(f" --calibration {frames}")
    measured = [layer for layer in calibration.float_layers if layer.error_std is not None]
    assert measured
    assert built.validation.parity.max_std <= 0.05
    assert {k.layer for k in calibration.float_layers if k.error_std is None} == set(EDGES)
    (told,) = (line for line in lines if "stay float" in line)
    assert all(layer.layer in told for layer in measured)
    graph = onnx.load(str(tmp_path / "out/ort-int8/model.onnx")).graph
    assert sum(is_8_bit for _, is_8_bit in computing(graph)) > 0


@pytest.mark.slow
def test_nothing_exact_enough_is_refused_with_the_numbers(
    checkpoint: Path, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "load_recipe", recipes_with(1e-9))
    with pytest.raises(EngineError, match=r"ort-int8: refused.*std, allowed 1e-09"):
        export_checkpoint(checkpoint, tmp_path / "out", ["ort-int8"], frames)
    assert not (tmp_path / "out/ort-int8").exists()


def test_synthetic_frames_judge_loosely_and_say_so(engines: Path) -> None:
    manifest = read_manifest(engines / "ort-int8")
    assert manifest.parity is not None
    assert manifest.parity.tolerance == {"max_std": 0.5, "p99_std": 0.5}
    assert manifest.calibration is not None
    assert {layer.layer for layer in manifest.calibration.float_layers} == set(EDGES)
    assert read_manifest(engines / "ort-fp32").parity.tolerance["max_std"] < 0.01
