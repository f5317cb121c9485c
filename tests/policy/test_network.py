"""The network's other shapes: backbones, layers, chunks, cameras and no cameras."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.network import Policy, tensor_shapes
from actd.policy.spec import Feature, PolicySpec
from actd.policy.synthetic import synthetic
from actd.policy.untrained import write_untrained

SMALL: dict[str, Any] = {
    "action_dim": 3,
    "state_dim": 3,
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 16,
    "n_encoder_layers": 1,
}


@pytest.mark.parametrize(
    ("backbone", "count"),
    [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032)],
)
def test_backbones_have_the_published_sizes(backbone: str, count: int, pristine: Path) -> None:
    spec = load_checkpoint(pristine).spec
    shapes = tensor_shapes(
        replace(spec, architecture=replace(spec.architecture, vision_backbone=backbone))
    )
    parameters = (
        torch.Size(shape).numel()
        for key, shape in shapes.items()
        if key.startswith("backbone.") and "running" not in key
    )
    assert sum(parameters) == count


@pytest.mark.parametrize(
    "settings",
    [
        {"cameras": {"a": (32, 48)}, "vision_backbone": "resnet34"},
        {"cameras": {"a": (32, 48)}, "vision_backbone": "resnet50", "chunk_size": 1},
        {"cameras": {n: (32, 32 + 16 * i) for i, n in enumerate("abcde")}, "n_decoder_layers": 3},
        {"cameras": {"a": (33, 65)}, "chunk_size": 333},
    ],
)
def test_any_shape_runs_and_listens(settings: dict[str, Any], tmp_path: Path) -> None:
    """Every input moves the answer: none is forgotten or read twice."""
    options = {"chunk_size": 4} | SMALL | settings
    policy = Policy(checkpoint := load_checkpoint(write_untrained(tmp_path, **options)))
    one, two = synthetic(checkpoint, count=2, seed=1)
    before = policy.infer(one)
    assert before.shape == (options["chunk_size"], 3)
    assert np.isfinite(before).all()
    for feature in checkpoint.spec.inputs:
        assert np.abs(policy.infer(one | {feature.key: two[feature.key]}) - before).max() > 1e-5


def _without_cameras(spec: PolicySpec) -> PolicySpec:
    environment = Feature("observation.environment_state", "ENV", (5,))
    return replace(spec, inputs=(*spec.vectors, environment))


def test_environment_state_alone_is_enough(pristine: Path) -> None:
    seen = load_checkpoint(pristine)
    spec = _without_cameras(seen.spec)
    torch.manual_seed(0)
    tensors = {key: torch.randn(shape) for key, shape in tensor_shapes(spec).items()}
    assert not any("backbone" in key for key in tensors)
    environment = spec.inputs[-1].key
    blind = replace(
        seen,
        spec=spec,
        tensors=tensors,
        normalization={**seen.normalization, environment: "IDENTITY"},
        statistics={**seen.statistics, environment: {}},
    )
    policy = Policy(blind)
    one, two = synthetic(blind, count=2, seed=1)
    assert np.abs(policy.infer(one) - policy.infer(one | {environment: two[environment]})).max() > 0


@cache
def _three_equal_cameras() -> tuple[Checkpoint, Policy]:
    with TemporaryDirectory() as folder:
        cameras = dict.fromkeys(("left", "middle", "right"), (32, 48))
        written = write_untrained(folder, cameras=cameras, chunk_size=6, **SMALL)
        checkpoint = load_checkpoint(written)
    return checkpoint, Policy(checkpoint)


@cache
def _reordered(order: tuple[int, ...]) -> Policy:
    checkpoint, _ = _three_equal_cameras()
    cameras = (checkpoint.spec.cameras[i] for i in order)
    spec = replace(checkpoint.spec, inputs=(*checkpoint.spec.vectors, *cameras))
    return Policy(replace(checkpoint, spec=spec))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(3)), seed=st.integers(0, 2**32))
def test_the_order_of_equal_cameras_does_not_matter(order: list[int], seed: int) -> None:
    """Whichever camera shows which image, and in whichever order the tokens stand."""
    checkpoint, policy = _three_equal_cameras()
    (observation,) = synthetic(checkpoint, count=1, seed=seed)
    keys = [camera.key for camera in checkpoint.spec.cameras]
    exchanged = {keys[i]: observation[keys[j]] for i, j in enumerate(order)}
    expected = policy.infer(observation)
    np.testing.assert_allclose(policy.infer(observation | exchanged), expected, atol=1e-4)
    reordered = _reordered(tuple(order))
    np.testing.assert_allclose(reordered.infer(observation), expected, atol=1e-4)
