"""The statistics of the training data: from the checkpoint to whoever reads the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.codec import decode, encode
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import CheckpointError, EngineError
from actd.policy.checkpoint import load_checkpoint, open_checkpoint
from actd.policy.spec import Feature, PolicySpec
from tests import golden
from tests.policy.edit import edit_tensors, put

CASE = "mixed_sizes_pre_norm_env"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> PolicySpec:
    folder = golden.write_checkpoint(CASE, tmp_path_factory.mktemp("checkpoint"))
    return load_checkpoint(folder).spec


def test_every_vector_brings_its_statistics_and_no_image_brings_imagenets(spec: PolicySpec) -> None:
    keys = {feature.key for feature in (*spec.vectors, spec.action)}
    assert set(spec.statistics) == keys
    for feature in (*spec.vectors, spec.action):
        drawn = golden.statistics(feature.key, feature.shape)
        assert set(spec.statistics[feature.key]) == {"min", "max", "mean", "std"}
        for name, values in spec.statistics[feature.key].items():
            np.testing.assert_allclose(values, drawn[name], rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [("min", "max"), ("q01", "q99")])
def test_a_range_that_falls_is_refused_though_nothing_needs_it(
    low: str, high: str, folder: Path
) -> None:
    state = folder / "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
    edit_tensors(state, put(f"action.{low}", [0, 2, 0]))
    edit_tensors(state, put(f"action.{high}", [1, 1, 1]))
    with pytest.raises(CheckpointError, match=rf"action\.{low}: above {high}; recompute"):
        open_checkpoint(folder)


def test_they_survive_json(spec: PolicySpec) -> None:
    again = decode(PolicySpec, json.loads(json.dumps(encode(spec))))
    assert again == spec
    assert again.statistics == spec.statistics


def test_they_change_neither_equality_nor_identity(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(golden.write_checkpoint(CASE, tmp_path))
    bare = replace(checkpoint, spec=replace(checkpoint.spec, statistics={}))
    assert bare.spec == checkpoint.spec
    assert bare.identity() == checkpoint.identity()


def test_an_exported_engine_has_them(exported_engine: Path) -> None:
    known = read_manifest(exported_engine).spec.statistics
    assert known["action"]["std"] == pytest.approx([0.2] * 14)
    assert set(known) == {"action", "observation.state"}


def test_an_engine_without_them_still_loads(small_engine: Path, tmp_path: Path) -> None:
    data = json.loads((small_engine / MANIFEST).read_text())
    del data["spec"]["statistics"]
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    spec = read_manifest(tmp_path).spec
    assert spec.statistics == {}
    assert spec.trained_range("action") is None
    assert spec.likely_range("action") is None


@pytest.mark.parametrize(
    "statistics",
    [
        [],
        {"action": [1.0]},
        {"action": {"min": [0.0]}},
        {"action": {"min": ["x"] * 14}},
        {"action": {"min": [float("nan")] * 14}},
        {"elbow": {"min": [0.0] * 14}},
        {"observation.images.cam_high": {"min": [0.0] * 2}},
    ],
)
def test_statistics_of_something_else_are_refused(
    small_engine: Path, tmp_path: Path, statistics: Any
) -> None:
    data = json.loads((small_engine / MANIFEST).read_text())
    data["spec"]["statistics"] = statistics
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(EngineError, match=r"spec(\.statistics\b.*)?: "):
        read_manifest(tmp_path)


@pytest.mark.parametrize("names", [{"action": ["a"]}, {"elbow": ["a"] * 14}, {"action": 3}, [1]])
def test_names_of_something_else_are_refused(
    small_engine: Path, tmp_path: Path, names: Any
) -> None:
    data = json.loads((small_engine / MANIFEST).read_text())
    data["spec"]["names"] = names
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(EngineError, match=r"spec.*names"):
        read_manifest(tmp_path)


def test_the_range_is_the_widest_that_is_known(spec: PolicySpec) -> None:
    one = Feature("action", "ACTION", (1,))

    def known(**statistics: tuple[float, ...]) -> PolicySpec:
        return replace(spec, action=one, statistics={"action": statistics})

    moments = {"mean": (1.0,), "std": (0.5,)}
    assert known(**moments).trained_range("action") is None
    assert known(**moments).likely_range("action") == ((-0.5,), (2.5,))
    quantiles = known(**moments, q01=(0.0,), q99=(2.0,))
    assert quantiles.trained_range("action") == ((0.0,), (2.0,))
    everything = known(**moments, q01=(0.0,), q99=(2.0,), min=(-3.0,), max=(4.0,))
    assert everything.likely_range("action") == ((-3.0,), (4.0,))
    assert everything.likely_range("observation.state") is None
