"""LeRobot 0.4.4 loads what we write, and we read what it writes.

Needs an environment with LeRobot (scripts/make-lerobot-venv), named by ACTD_LEROBOT_PYTHON.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.datasets import DatasetWriter, open_dataset
from actd.datasets.stats import vector_stats
from tests.datasets.making import FORM, NAMES, TOP, WRIST, rows, write, write_scored

pytestmark = pytest.mark.lerobot

SIDE = Path(__file__).with_name("lerobot_side.py")
CHUNK = 4


def lerobot(python: str, tmp_path: Path, *arguments: object) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    } | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [python, str(SIDE), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def loaded(lerobot_python: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What LeRobot finds in a dataset of ours: three episodes, recorded in two goes."""
    tmp_path = tmp_path_factory.mktemp("ours")
    write(tmp_path / "set", [20, 13])
    write(tmp_path / "set", [9], task="point", first_seed=2)
    lerobot(lerobot_python, tmp_path, "read", tmp_path / "set", tmp_path / "found.npz")
    return np.load(tmp_path / "found.npz")


def test_lerobot_loads_our_rows(loaded: Any) -> None:
    written = [row for seed, count in enumerate([20, 13, 9]) for row in rows(count, seed)]
    assert (loaded["length"], loaded["fps"], loaded["episodes"]) == (42, 30, 3)
    assert loaded["names"].tolist() == list(NAMES)
    assert loaded["tasks"].tolist() == ["wave"] * 33 + ["point"] * 9
    states = np.array([vectors["observation.state"] for vectors, _ in written])
    assert np.array_equal(loaded["observation.state"], states)
    for key in (TOP, WRIST):
        shown = np.array([images[key] for _, images in written]).transpose(0, 3, 1, 2)
        assert np.abs(loaded[key] * 255 - shown).max() <= 6


def test_lerobot_cuts_chunks_at_our_episode_ends(loaded: Any) -> None:
    for seed, (first, count) in enumerate([(0, 20), (20, 13), (33, 9)]):
        actions = np.array([vectors["action"] for vectors, _ in rows(count, seed)])
        for row in range(count):
            wanted = np.arange(row, row + CHUNK)
            padded = wanted >= count
            assert np.array_equal(loaded["padding"][first + row], padded)
            chunk = actions[np.minimum(wanted, count - 1)]
            assert np.array_equal(loaded["action"][first + row], chunk)


@pytest.mark.parametrize("key", ["action", "observation.state", "timestamp", "index"])
def test_our_statistics_are_lerobots(loaded: Any, key: str) -> None:
    for name in ("min", "max", "mean", "std", "count"):
        ours, theirs = loaded[f"stored/{key}/{name}"], loaded[f"computed/{key}/{name}"]
        assert np.allclose(ours, theirs, atol=1e-5), name


def test_one_episodes_statistics_are_lerobots(lerobot_python: str, tmp_path: Path) -> None:
    """Quantiles too, which over several episodes are only averages."""
    write(tmp_path / "set", [60])
    lerobot(lerobot_python, tmp_path, "read", tmp_path / "set", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    for key in ("action", "observation.state"):
        spread = found[f"stored/{key}/max"] - found[f"stored/{key}/min"]
        for name in ("q01", "q10", "q50", "q90", "q99"):
            ours, theirs = found[f"stored/{key}/{name}"], found[f"computed/{key}/{name}"]
            # It counts in 5000 bins between smallest and largest.
            assert (np.abs(ours - theirs) <= spread / 2500).all(), (key, name)


@pytest.fixture(scope="module")
def theirs(lerobot_python: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    tmp_path = tmp_path_factory.mktemp("theirs")
    lerobot(lerobot_python, tmp_path, "write", tmp_path / "set", tmp_path / "put_in.npz")
    return tmp_path / "set", np.load(tmp_path / "put_in.npz")


def test_we_read_lerobots_rows(theirs: tuple[Path, Any]) -> None:
    folder, put_in = theirs
    dataset = open_dataset(folder)
    assert (dataset.fps, dataset.episodes) == (30, [0, 1])
    assert dataset.names("action") == list(NAMES)
    assert set(dataset.cameras) == {TOP, WRIST}
    first = 0
    for episode, count in enumerate([15, 22]):
        part = slice(first, first + count)
        first += count
        assert dataset.length(episode) == count
        assert np.array_equal(dataset.actions(episode), put_in["action"][part])
        assert np.array_equal(dataset.states(episode), put_in["observation.state"][part])
        frames = list(dataset.frames(episode))
        shown = np.array([frame[TOP] for frame in frames]).astype(int)
        assert np.abs(shown - put_in[TOP][part]).max() <= 12  # AV1 at LeRobot's quality
        shown = np.array([frame[WRIST] for frame in frames])
        assert np.array_equal(shown, put_in[WRIST][part])


def test_both_may_add_to_one_dataset(lerobot_python: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder, [7])
    lerobot(lerobot_python, tmp_path, "append", folder)
    with DatasetWriter(folder, FORM) as writer:
        assert not writer.notes
    write(folder, [5], first_seed=1)
    dataset = open_dataset(folder)
    assert [dataset.length(episode) for episode in dataset.episodes] == [7, 6, 5]
    lerobot(lerobot_python, tmp_path, "read", folder, tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    assert (found["length"], found["episodes"]) == (18, 3)
    actions = np.concatenate([dataset.actions(episode) for episode in dataset.episodes])
    for name, value in vector_stats(actions).items():
        if not name.startswith("q"):
            assert np.allclose(found[f"stored/action/{name}"], value, atol=1e-5), name


def test_lerobot_loads_our_scores(lerobot_python: str, tmp_path: Path) -> None:
    """A success and a failure, and statistics of both."""
    folder = tmp_path / "set"
    write_scored(folder, [(5, True), (4, False)])
    lerobot(lerobot_python, tmp_path, "scores", folder, tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    done, success = np.zeros((2, 9), bool)
    done[[4, 8]] = success[4] = True
    assert found["episode_index"].tolist() == [0] * 5 + [1] * 4
    for key, values in (("next.done", done), ("next.success", success)):
        assert found[key].dtype == bool
        assert np.array_equal(found[key].ravel(), values)
        assert found[f"{key}/mean"] == pytest.approx(values.mean())
        assert (found[f"{key}/min"], found[f"{key}/max"]) == (0, 1)
    assert found["next.reward"].dtype == np.float32
    assert np.array_equal(found["next.reward"].ravel(), success)
