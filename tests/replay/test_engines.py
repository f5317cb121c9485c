"""Two engines on one recording: every figure is checked against one computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.control.chunks import ensemble_weights
from actd.datasets import Dataset, DatasetWriter, Form, open_dataset
from actd.engine.load import load_engine
from actd.errors import RecordingError, UsageError
from actd.export.export import export_checkpoint
from actd.policy.untrained import write_untrained
from actd.replay.engines import compare_engines

JOINTS = tuple(f"j{index}" for index in range(14))
CAMERAS = {f"observation.images.{name}": (96, 128) for name in ("cam_high", "cam_low")}


def recorded(folder: Path, form: Form) -> Dataset:
    chance = np.random.default_rng(0)
    with DatasetWriter(folder, form) as writer:
        for length in (8, 30):
            episode = writer.begin("wave")
            for row in range(length):
                vectors = {
                    key: chance.normal(size=len(names)) for key, names in form.vectors.items()
                }
                # The last joint never moves.
                vectors["action"][-1] = 0.5
                episode.add(
                    vectors,
                    {key: np.full((*s, 3), 7 * row, np.uint8) for key, s in form.cameras.items()},
                )
            episode.save()
    return open_dataset(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    vectors = {"observation.state": JOINTS, "action": JOINTS}
    return recorded(tmp_path_factory.mktemp("set") / "waving", Form(50, vectors, CAMERAS))


@pytest.fixture(scope="module")
def other_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same kind of policy with other weights."""
    checkpoint = write_untrained(
        tmp_path_factory.mktemp("other"),
        cameras={"cam_high": (96, 128), "cam_low": (96, 128)},
        action_dim=14,
        state_dim=14,
        chunk_size=50,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        action_std=[0.2] * 14,
        seed=2,
    )
    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(checkpoint, out, ["ort-fp32"], None, lambda _: None)
    return out / "ort-fp32"


def test_an_engine_does_not_differ_from_itself(dataset: Dataset, small_engine: Path) -> None:
    found = compare_engines(dataset, [small_engine, small_engine], samples=4)
    assert found.chunk.max.max() == 0
    assert found.ensembled.max.max() == 0
    assert np.array_equal(*found.recorded)
    assert found.recorded[0].min() > 0


def test_the_figures_are_those_of_the_chunks(
    dataset: Dataset, small_engine: Path, other_engine: Path
) -> None:
    calls: list[tuple[int, int]] = []
    found = compare_engines(
        dataset,
        [small_engine, other_engine],
        episodes=[1],
        samples=5,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 20) for done in range(1, 21)]
    engines = [load_engine(folder) for folder in (small_engine, other_engine)]
    keys = [feature.key for feature in engines[0].spec.inputs]

    def chunks(rows: list[int]) -> list[np.ndarray]:
        frames = [{key: frame[key] for key in keys} for frame in dataset.frames(1, rows)]
        return [np.array([e.infer(frame) for frame in frames], np.float64) for e in engines]

    first, second = chunks([0, 7, 14, 21, 29])
    difference = np.abs(first - second)
    assert found.chunk.mean == pytest.approx(difference.mean(axis=(0, 1)))
    assert found.chunk.max == pytest.approx(difference.max(axis=(0, 1)))
    assert (found.chunk.p99 <= found.chunk.max).all()
    truth = dataset.actions(1)
    near = [np.abs(c[: 30 - r] - truth[r:]) for c, r in zip(first, [0, 7, 14, 21, 29], strict=True)]
    assert found.recorded[0] == pytest.approx(np.concatenate(near).mean(axis=0), rel=1e-5)

    std = truth.std(axis=0)
    assert found.joint_std[:-1] == pytest.approx(std[:-1], rel=1e-5)
    assert np.isnan(found.joint_std[-1])
    assert found.by_step[3] == pytest.approx((difference[:, 3, :-1] / std[:-1]).mean(), rel=1e-5)
    assert found.to_dict()["difference"]["max_std"]["j13"] is None

    run = chunks([12, 13, 14, 15, 16])
    weights = ensemble_weights(0.01, np.arange(5.0))
    last = [sum(w * c[k, 4 - k] for k, w in enumerate(weights)) for c in run]
    assert found.ensembled.max.max() >= np.abs(last[0] - last[1]).max() * (1 - 1e-6)
    assert (found.ensembled.max <= found.chunk.max.max() + 1e-6).all()


def test_a_dataset_of_another_robot_is_refused(tmp_path: Path, small_engine: Path) -> None:
    state = {"observation.state": JOINTS}
    for name, vectors, cameras, diagnostic in (
        ("a", {**state, "action": JOINTS}, {}, "cam_high: .* needs it"),
        ("b", {**state, "action": JOINTS[:6]}, CAMERAS, "6 joints, .* commands 14"),
    ):
        dataset = recorded(tmp_path / name, Form(50, vectors, cameras))
        with pytest.raises(RecordingError, match=diagnostic):
            compare_engines(dataset, [small_engine, small_engine], samples=2)


def test_the_command_prints_and_reports(dataset: Dataset, small_engine: Path) -> None:
    both = f"{small_engine},{small_engine}"
    options = [str(dataset.root), "--engine", both, "--episodes", "0-1", "--samples", "2"]
    printed = CliRunner().invoke(app, ["replay", *options])
    assert printed.exit_code == 0, printed.output
    assert "2 observations, 2 consecutive ones, of 2 episodes" in printed.output
    found = CliRunner().invoke(app, ["replay", *options, "--json"])
    report = json.loads(found.stdout)
    assert report["episodes"] == [0, 1]
    assert report["difference"]["max"] == dict.fromkeys(JOINTS, 0.0)
    rejected = CliRunner().invoke(app, ["replay", *options[:4], "x"])
    assert isinstance(rejected.exception, UsageError)
