"""The scripted task and what LeRobot makes of it, in small."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from actd.datasets import Dataset, open_dataset
from actd.engine.base import Observation, Stages
from actd.export.export import export_checkpoint
from actd.policy.checkpoint import load_checkpoint
from actd.policy.spec import PolicySpec
from actd.policy.untrained import write_untrained
from actd.sim.aloha import CAMERAS, JOINTS
from bench.trained import collect, rollout
from bench.trained.frames import Frames
from bench.trained.table import FINGERTIPS_M, Place, Table, UnreachableError

ROOT = Path(__file__).resolve().parents[2]
TOP = "observation.images.cam_high"
CHUNK = 50


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table(32, 32)
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "set"
    assert collect.collect(path, episodes=3) == 3, "a bar was not lifted"
    return path


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return open_dataset(folder)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 1.4), (0.4, 1.1), (-0.4, 1.1)])
def test_the_fingertips_go_where_they_are_sent(
    table: Table, side: str, yaw: float, pitch: float
) -> None:
    ahead = -1 if side == "right" else 1
    wanted = np.array([0.05 * ahead, 0.55, 0.2])
    table.reset(0.0, 0.75, 0.0)
    angles = table.reach(side, Place(*wanted, yaw, pitch))
    for _ in range(300):
        table.step(angles, 0.01)
    gripper = table._data.body(f"vx300s_{side}/gripper_link")
    direction = gripper.xmat.reshape(3, 3)[:, 0]
    np.testing.assert_allclose(gripper.xpos + FINGERTIPS_M * direction, wanted, atol=0.015)
    level = np.array([np.cos(yaw), np.sin(yaw)]) * ahead * np.cos(pitch)
    np.testing.assert_allclose(direction, [*level, -np.sin(pitch)], atol=0.06)


def test_a_place_out_of_reach_is_refused(table: Table) -> None:
    with pytest.raises(UnreachableError, match="left arm"):
        table.reach("left", Place(1.5, 0.5, 0.2))


def test_only_the_images_tell_where_to_go(dataset: Dataset) -> None:
    first = [next(iter(dataset.frames(episode, [0]))) for episode in dataset.episodes]
    states = [frame["observation.state"] for frame in first]
    goals = [dataset.actions(episode)[-1] for episode in dataset.episodes]
    bars = [np.argwhere(_is_red(frame[TOP])).mean(axis=0) for frame in first]
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert np.abs(states[one] - states[other]).max() < 1e-4
        assert np.abs(bars[one] - bars[other]).max() > 2, "the bar lies in the same place"
        assert np.abs(goals[one] - goals[other]).max() > 0.05


def test_the_arms_follow_the_recorded_actions(dataset: Dataset) -> None:
    assert dataset.names("action") == dataset.names("observation.state") == list(JOINTS)
    assert dataset.cameras == tuple(f"observation.images.{name}" for name in CAMERAS)
    arms = [number for number, name in enumerate(JOINTS) if not name.endswith("gripper")]
    for episode in dataset.episodes:
        assert 60 <= dataset.length(episode) <= 100
        behind = dataset.actions(episode)[:-1] - dataset.states(episode)[1:]
        assert np.abs(behind[:, arms]).max() < 0.15


def test_the_same_seed_gives_the_same_episodes(dataset: Dataset, tmp_path: Path) -> None:
    collect.collect(tmp_path / "again", episodes=1)
    collect.collect(tmp_path / "other", episodes=1, seed=1)
    again, other = (open_dataset(tmp_path / name).actions(0) for name in ("again", "other"))
    assert np.array_equal(again, dataset.actions(0))
    assert not np.array_equal(other[:40], again[:40])


def test_a_folder_of_other_files_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert collect.main([str(tmp_path), "--episodes", "1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_batch_holds_the_actions_from_each_frame_on(dataset: Dataset) -> None:
    frames = Frames(dataset, [0, 2], CHUNK)
    first, second = dataset.actions(0), dataset.actions(2)
    assert len(frames) == len(first) + len(second)
    near_end, start = len(first) - 3, len(first)
    batch = frames.batch(np.array([0, near_end, start]))
    assert batch[TOP].shape == (3, 3, collect.HEIGHT, collect.WIDTH)
    assert 0.5 < float(batch[TOP].max()) <= 1
    actions, padding = batch["action"].numpy(), batch["action_is_pad"].numpy()
    assert np.array_equal(actions[0], first[:CHUNK])
    assert np.array_equal(actions[1, :3], first[-3:])
    assert np.array_equal(actions[1, 3:], np.repeat(first[-1:], CHUNK - 3, axis=0))
    assert np.array_equal(actions[2], second[:CHUNK])
    assert padding.sum(axis=1).tolist() == [0, CHUNK - 3, 0]
    whole = frames.whole(1)
    assert len(whole) == len(frames) - 2 * (CHUNK - 1)
    assert not frames.batch(whole)["action_is_pad"].any()


@pytest.mark.lerobot
def test_lerobot_trains_on_it_and_actd_loads_the_result(folder: Path, tmp_path: Path) -> None:
    from actd.policy.checkpoint import load_checkpoint

    python = os.environ.get("ACTD_LEROBOT_PYTHON")
    if not python:
        pytest.fail("set ACTD_LEROBOT_PYTHON; scripts/make-lerobot-venv makes one")
    small = ["--max-steps", "3", "--held-out", "1", "--dim-model", "64", "--dim-feedforward", "64"]
    out = tmp_path / "checkpoint"
    done = subprocess.run(
        [python, "-W", "ignore", "-m", "bench.trained.train", str(folder), str(out), *small],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "step 3 " in done.stdout
    assert all(name in done.stdout for name in JOINTS)
    assert load_checkpoint(out).spec.chunk_size == CHUNK


def _is_red(image: np.ndarray) -> np.ndarray:
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 120) & (green < 80) & (blue < 80)


class Replayed:
    """An engine that knows the demonstration and gives it back, chunk by chunk."""

    name = "replayed"
    stages = Stages()

    def __init__(self, targets: np.ndarray, spec: PolicySpec) -> None:
        self.spec = spec
        self._targets = targets
        self._row = 0
        self.seen: list[Observation] = []

    def infer(self, observation: Observation) -> np.ndarray:
        assert observation[TOP].shape == (collect.HEIGHT, collect.WIDTH, 3)
        self.seen.append(observation)
        rows = np.arange(self._row, self._row + self.spec.chunk_size)
        self._row += self.spec.chunk_size // 2
        return self._targets[np.minimum(rows, len(self._targets) - 1)].astype(np.float32)

    def close(self) -> None:
        """Holds nothing."""


def test_a_rollout_tells_who_lifts_the_bar(tmp_path: Path) -> None:
    cameras = dict.fromkeys(CAMERAS, (collect.HEIGHT, collect.WIDTH))
    sizes = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1}
    untrained = write_untrained(
        tmp_path / "ckpt", cameras=cameras, action_dim=14, state_dim=14, chunk_size=54, **sizes
    )
    export_checkpoint(untrained, tmp_path / "engines", ["ort-fp32"])
    folder = tmp_path / "engines" / "ort-fp32"
    assert rollout.rollout([folder], episodes=1, seed=77) == {str(folder): 0}
    with closing(Table(collect.HEIGHT, collect.WIDTH)) as table:
        targets = collect.demonstration(table, np.random.default_rng((77, 0)))
        replayed = Replayed(targets, load_checkpoint(untrained).spec)
        done, seen = rollout.episode(table, replayed, (77, 0))
        assert done
        assert len(seen) == len(replayed.seen) == rollout.PLANS
        again = Replayed(targets, load_checkpoint(untrained).spec)
        rollout.episode(table, again, (77, 0), seen[::-1])
    for given, shown in zip(again.seen, seen[::-1], strict=True):
        assert np.array_equal(given[TOP], shown[TOP])
