"""Eight bits judged by the policy's own error: what passes, what stays float, what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from actd.datasets import DatasetWriter, Form
from actd.engine.load import load_engine
from actd.engine.manifest import read_manifest
from actd.errors import EngineError
from actd.export.export import export_checkpoint
from actd.policy.untrained import write_untrained

TOP, STATE, ACTION = "observation.images.top", "observation.state", "action"
JOINTS, SIZE = ("a", "b", "c"), (64, 96)
EDGES = {"encoder_robot_state_input_proj", "action_head"}
BACKBONE = [f"backbone.layer{stage}.{block}" for stage in range(1, 5) for block in range(2)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """States and actions of the statistics that the policy has, about one std from its answers."""
    folder = tmp_path_factory.mktemp("recording") / "set"
    chance = np.random.default_rng(0)
    form = Form(30, {STATE: JOINTS, ACTION: JOINTS}, {TOP: SIZE})
    with DatasetWriter(folder, form) as writer:
        for _ in range(6):
            episode = writer.begin("reach")
            for _ in range(12):
                vectors = {key: chance.normal(size=3).astype(np.float32) for key in (STATE, ACTION)}
                image = chance.integers(0, 256, (1, 1, 3), np.uint8).repeat(64, 0).repeat(96, 1)
                episode.add(vectors, {TOP: image})
            episode.save()
    return folder


def recipe(file: Path, float_layers: Iterable[str], max_std: float = 0.3) -> str:
    """A recipe in which few layers can be 8-bit, so that a search is soon over."""
    file.write_text(f"""
        runtime: ort
        precision: int8
        graph: u8s8
        tolerance: {{added_error: 0.02, max_std: {max_std}, p99_std: 0.06}}
        quantization: {{float_layers: [{", ".join(float_layers)}]}}
    """)
    return str(file)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_untrained(
        tmp_path / "policy",
        cameras={"top": SIZE},
        action_dim=3,
        state_dim=3,
        chunk_size=8,
        dim_model=64,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
    )


@pytest.mark.slow
def test_all_in_8_bits_is_the_usual_outcome_and_a_refusal_says_what_to_do(
    policy: Path, recording: Path, tmp_path: Path
) -> None:
    strict = recipe(tmp_path / "strict.yaml", [*BACKBONE, *EDGES], max_std=1e-5)
    lines: list[str] = []
    with pytest.raises(EngineError, match=r"^strict: refused, ") as caught:
        export_checkpoint(policy, tmp_path, ["ort-int8", strict], recording, lines.append)
    assert "; use openvino-bf16 or ort-fp32" in str(caught.value)
    assert "to the policy's own error" in str(caught.value)
    assert "std, allowed 1e-05" in str(caught.value)
    assert not (tmp_path / "strict").exists()

    manifest = read_manifest(tmp_path / "ort-int8")
    assert manifest.calibration is not None
    assert {layer.layer for layer in manifest.calibration.float_layers} == EDGES
    assert manifest.parity is not None
    added = manifest.parity.added
    assert added is not None
    assert (added.episodes, added.unseen) == (3, False)
    assert added.engine != added.policy
    assert any(added.text in line for line in lines)
    # judged on a few observations as it was here, with room for another computer's rounding
    assert manifest.reference_tolerance == manifest.parity.on_reference
    load_engine(tmp_path / "ort-int8", judge=True).close()


@pytest.mark.slow
def test_a_layer_that_is_really_bad_in_8_bits_stays_float(
    policy: Path, recording: Path, tmp_path: Path
) -> None:
    """One hidden unit is made small and its weights large: the same function, but no 8-bit step
    is right for the rest of its weights.
    """
    weights = policy / "model.safetensors"
    tensors = dict(load_file(weights))
    for part, scale in (("linear1.weight", 1e-4), ("linear1.bias", 1e-4), ("linear2.weight", 1e4)):
        tensor = tensors[f"model.encoder.layers.0.{part}"]
        tensor[(0,) if scale < 1 else (slice(None), 0)] *= scale
    save_file(tensors, weights)
    lines: list[str] = []
    mixed = recipe(tmp_path / "mixed.yaml", [*BACKBONE, *EDGES])
    (built,) = export_checkpoint(policy, tmp_path, [mixed], recording, lines.append)
    assert built.manifest.calibration is not None
    chosen = [each for each in built.manifest.calibration.float_layers if each.error_std]
    assert [each.layer for each in chosen] == ["encoder.layers.0.linear2"]
    (said,) = (line for line in lines if "looking for layers to keep float" in line)
    assert "all in 8 bits adds" in said
    assert "allowed 2 %" in said
