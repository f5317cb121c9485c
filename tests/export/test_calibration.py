"""Where frames come from: every kind of source, what is taken, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actd.datasets import DatasetWriter, Form, open_dataset
from actd.errors import EngineError
from actd.export.calibration import calibration_frames, validation_frames
from actd.export.frames import evenly
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.synthetic import synthetic

TOP = "observation.images.top"
STATE = "observation.state"
JOINTS = ("a", "b", "c")
SIZE = (64, 96)


@pytest.fixture(scope="session")
def policy(checkpoint: Path) -> Checkpoint:
    return load_checkpoint(checkpoint)


def write_dataset(
    folder: Path,
    lengths: list[int],
    *,
    camera: str = TOP,
    size: tuple[int, int] = SIZE,
    joints: tuple[str, ...] = JOINTS,
) -> Path:
    """Episode k, row r has the state (k, r, 0) and an image of one shade of red."""
    form = Form(30, {STATE: joints, "action": joints}, {camera: size})
    with DatasetWriter(folder, form) as writer:
        for number, length in enumerate(lengths):
            episode = writer.begin("reach")
            for row in range(length):
                state = np.zeros(len(joints), np.float32)
                state[:2] = number, row
                image = np.zeros((*size, 3), np.uint8)
                image[..., 0] = 5 * row
                episode.add({STATE: state, "action": state}, {camera: image})
            episode.save()
    return folder


def places(observations: Any) -> list[tuple[int, int]]:
    """Episode and row that each observation shows."""
    return [(int(o[STATE][0]), int(o[STATE][1])) for o in observations]


def test_dataset_frames_are_spread_and_those_that_judge_are_others(
    policy: Checkpoint, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "set", [20, 30, 20, 40, 20, 20])
    calibration = calibration_frames(folder, policy, 12)
    parity_report = validation_frames(folder, policy, 48)
    taken = {episode for episode, _ in places(calibration.observations)}
    judging = {episode for episode, _ in places(parity_report.observations)}
    assert len(calibration) == 12
    assert (len(taken), len(judging)) == (3, 3)
    assert not taken & judging
    assert "3 episodes" in calibration.source
    assert "not used for calibration" in parity_report.source
    # the image is the row's own
    for observation in parity_report.observations:
        assert abs(float(observation[TOP][..., 0].mean()) - 5 * observation[STATE][1]) < 4


def test_verdict_sees_whole_episodes(policy: Checkpoint, tmp_path: Path) -> None:
    frames = validation_frames(write_dataset(tmp_path / "set", [50] * 20), policy, 96)
    shown = places(frames.observations)
    assert len(shown) == len(set(shown)) == 96
    assert len({episode for episode, _ in shown}) == 10
    rows = {row for _, row in shown}
    assert min(rows) == 0
    assert max(rows) >= 45
    assert len(rows) > 40


def test_recorded_actions_are_those_from_each_frame_on(policy: Checkpoint, tmp_path: Path) -> None:
    frames = validation_frames(write_dataset(tmp_path / "set", [9] * 6), policy, 24)
    assert frames.recorded is not None
    assert (frames.recorded.episodes, frames.recorded.unseen) == (3, False)
    assert len(frames.recorded.actions) == len(frames)
    for (episode, row), chunk in zip(
        places(frames.observations), frames.recorded.actions, strict=True
    ):
        rows = np.arange(row, row + policy.spec.chunk_size)
        inside = rows < 9
        assert (chunk[inside, 0] == episode).all()
        assert (chunk[inside, 1] == rows[inside]).all()
        assert np.isnan(chunk[~inside]).all()


def test_an_engine_is_judged_on_episodes_that_training_left_out(
    policy: Checkpoint, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "set", [9] * 12)
    part = replace(policy, trained_episodes=frozenset({0, 1, 2, 4, 6, 8, 10, 11}))
    frames, calibration = validation_frames(folder, part, 24), calibration_frames(folder, part, 99)
    assert frames.recorded is not None
    assert frames.recorded.unseen
    assert "not used for calibration, not trained on" in frames.source
    assert {episode for episode, _ in places(frames.observations)} == {3, 5, 7, 9}
    taken = {episode for episode, _ in places(calibration.observations)}
    assert taken == part.trained_episodes


@pytest.mark.parametrize("trained", [range(9), range(12), range(5, 40)])
def test_too_few_unseen_episodes_or_another_datasets_are_not_called_unseen(
    trained: range, policy: Checkpoint, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "set", [9] * 12)
    frames = validation_frames(folder, replace(policy, trained_episodes=frozenset(trained)), 24)
    assert frames.recorded is not None
    assert not frames.recorded.unseen
    assert "not trained on" not in frames.source


def test_actions_of_another_rate_or_other_joints_are_no_measure(
    policy: Checkpoint, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "set", [9] * 4)
    fast = replace(policy, spec=replace(policy.spec, trained_hz=50.0))
    assert validation_frames(folder, fast, 24).recorded is None
    two = replace(policy.spec, action=replace(policy.spec.action, shape=(2,)), statistics={})
    assert validation_frames(folder, replace(policy, spec=two), 24).recorded is None


def test_a_single_episode_does_both_and_says_so(policy: Checkpoint, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", [30])
    parity_report = validation_frames(folder, policy, 16)
    assert len(calibration_frames(folder, policy, 200)) == 30
    assert len(parity_report) == 16
    assert "also used for calibration" in parity_report.source


def test_another_rate_is_noted(policy: Checkpoint, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", [4, 4])
    fast = replace(policy, spec=replace(policy.spec, trained_hz=50.0))
    same = replace(policy, spec=replace(policy.spec, trained_hz=30.0))
    (note,) = validation_frames(folder, fast, 8).notes
    assert "30 frames per second" in note
    assert "50" in note
    assert validation_frames(folder, same, 8).notes == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"camera": "observation.images.front"}, (TOP, "observation.images.front", STATE)),
        ({"size": (48, 64)}, (TOP, "48x64", "64x96")),
        ({"joints": ("a", "b")}, (STATE, "(2,)", "(3,)")),
    ],
)
def test_dataset_that_does_not_fit(
    changes: Mapping[str, Any], words: tuple[str, ...], policy: Checkpoint, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "set", [3], **changes)
    with pytest.raises(EngineError) as caught:
        calibration_frames(folder, policy, 4)
    assert all(word in str(caught.value) for word in (str(folder), *words))
    assert "\n" not in str(caught.value)


def test_dataset_without_episodes(policy: Checkpoint, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", [3])
    for file in (folder / "meta/episodes").rglob("*.parquet"):
        file.unlink()
    assert open_dataset(folder).episodes == []
    with pytest.raises(EngineError, match="no episode"):
        validation_frames(folder, policy, 4)


def write_images(folder: Path, count: int, name: str = "top") -> NDArray[np.float32]:
    """Images that are red by 5 times their number, and the states beside them."""
    (folder / name).mkdir(parents=True)
    for i in range(count):
        image = np.zeros((*SIZE, 3), np.uint8)
        image[..., 2] = 5 * i  # OpenCV writes BGR
        cv2.imwrite(str(folder / name / f"frame_{i}.png"), image)
    states = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    np.save(folder / "states.npy", states)
    return states


@pytest.mark.parametrize("name", ["top", TOP])
def test_images_and_states(name: str, policy: Checkpoint, tmp_path: Path) -> None:
    states = write_images(tmp_path / "f", 20, name)
    calibration = calibration_frames(tmp_path / "f", policy, 100)
    parity_report = validation_frames(tmp_path / "f", policy, 100)
    assert (len(calibration), len(parity_report)) == (16, 4)
    shown = [*calibration.observations, *parity_report.observations]
    # in order of the numbers, not of the letters, and red is first
    assert [int(o[TOP][0, 0, 0]) for o in shown] == [5 * i for i in range(20)]
    assert all(o[TOP][0, 0, 2] == 0 and o[TOP].dtype == np.uint8 for o in shown)
    np.testing.assert_array_equal(np.stack([o[STATE] for o in shown]), states)
    assert shown[0][STATE].dtype == np.float32


def test_states_as_csv_and_npz(policy: Checkpoint, tmp_path: Path) -> None:
    states = write_images(tmp_path / "f", 5)
    (tmp_path / "f/states.npy").unlink()
    file = tmp_path / "f/states.csv"
    np.savetxt(file, states, delimiter=",", header="a_pos,b_pos,c_pos", comments="")
    from_csv = calibration_frames(tmp_path / "f", policy, 5).observations
    np.savez(tmp_path / "f/states.npz", **{STATE: states})
    from_npz = calibration_frames(tmp_path / "f", policy, 5).observations
    for found in (from_csv, from_npz):
        np.testing.assert_array_equal(np.stack([o[STATE] for o in found]), states)


def spoil(folder: Path, what: str) -> None:
    """Make one thing about a good folder wrong."""
    if what == "row":
        np.save(folder / "states.npy", np.zeros((4, 3), np.float32))
    elif what == "dimension":
        np.save(folder / "states.npy", np.zeros((5, 2), np.float32))
    elif what == "states":
        (folder / "states.npy").unlink()
    elif what == "text":
        (folder / "states.npy").unlink()
        (folder / "states.csv").write_text("1,2,3\n1,x\n")
    elif what == "nothing":
        (folder / "states.npy").write_bytes(b"")
    elif what == "words":
        (folder / "states.npy").unlink()
        np.savez(folder / "states.npz", **{STATE: np.full((5, 3), "left")})
    elif what == "size":
        cv2.imwrite(str(folder / "top/frame_0.png"), np.zeros((48, 64, 3), np.uint8))
    elif what == "image":
        (folder / "top/frame_0.png").write_bytes(b"no image")
    elif what == "empty":
        for file in (folder / "top").iterdir():
            file.unlink()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("row", ("top 5", f"{STATE} 4", "one row per image")),
        ("dimension", ("states.npy", STATE, "(5, 2)", "(frames, 3)")),
        ("states", ("no states", "states.csv")),
        ("text", ("states.csv", "not readable as numbers")),
        ("nothing", ("states.npy", "not readable as numbers")),
        ("words", ("states.npz", "not readable as numbers")),
        ("size", ("frame_0.png", "48x64", "64x96", "mogrify -resize '96x64!'")),
        ("image", ("frame_0.png", "not a readable image")),
        ("empty", ("top", "no image")),
    ],
)
def test_images_that_do_not_fit(
    what: str, words: tuple[str, ...], policy: Checkpoint, tmp_path: Path
) -> None:
    write_images(tmp_path / "f", 5)
    spoil(tmp_path / "f", what)
    with pytest.raises(EngineError) as caught:
        calibration_frames(tmp_path / "f", policy, 5)
    assert all(word in str(caught.value) for word in (str(tmp_path / "f"), *words))
    assert "\n" not in str(caught.value)


def test_npz_files_part_into_calibration_and_verdict(policy: Checkpoint, tmp_path: Path) -> None:
    drawn = synthetic(policy, count=20, seed=3)
    file = tmp_path / "seen.npz"
    np.savez(file, **{key: np.stack([o[key] for o in drawn]) for key in drawn[0]})
    calibration = calibration_frames(file, policy, 200)
    parity_report = validation_frames(file, policy, 200)
    states = [o[STATE] for o in (*calibration.observations, *parity_report.observations)]
    assert (len(calibration), len(parity_report)) == (16, 4)
    np.testing.assert_array_equal(np.stack(states), np.stack([o[STATE] for o in drawn]))
    assert len(calibration_frames(file, policy, 5)) == 5


def test_a_folder_of_something_else(policy: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(EngineError, match=r"nothing to calibrate on.*info\.json.*top.*synthetic"):
        calibration_frames(tmp_path, policy, 5)
    with pytest.raises(EngineError, match=r"absent: no such file or folder.*LeRobotDataset"):
        calibration_frames(tmp_path / "absent", policy, 5)
    write_images(tmp_path / "f", 5)
    (tmp_path / "f/states.npy").rename(tmp_path / "f/states.npz")
    (tmp_path / "f/top").rename(tmp_path / "f/front")
    with pytest.raises(EngineError, match="images in top"):
        calibration_frames(tmp_path / "f", policy, 5)


@pytest.mark.parametrize("frames", [calibration_frames, validation_frames])
def test_a_state_that_is_no_number_is_told(
    frames: Callable[..., Any], policy: Checkpoint, tmp_path: Path
) -> None:
    states = write_images(tmp_path / "f", 5)
    states[3, 1] = np.nan
    np.save(tmp_path / "f/states.npy", states)
    said = f"{STATE}: a value that is not finite, or beyond 1e30, in frame 3 of"
    with pytest.raises(EngineError, match=said):
        frames(tmp_path / "f", policy, 5)


def test_a_damaged_info_file_is_told(policy: Checkpoint, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", [3])
    info = json.loads((folder / "meta/info.json").read_text())
    (folder / "meta/info.json").write_text(json.dumps({**info, "codebase_version": "v9"}))
    with pytest.raises(Exception, match="codebase_version: found v9"):
        calibration_frames(folder, policy, 5)


def test_synthetic_only_by_name(policy: Checkpoint) -> None:
    calibration = calibration_frames("synthetic", policy, 3)
    parity_report = validation_frames("synthetic", policy, 3)
    assert calibration.source == parity_report.source == "synthetic"
    assert not np.array_equal(calibration.observations[0][TOP], parity_report.observations[0][TOP])


@given(total=st.integers(1, 500), count=st.integers(1, 500))
def test_evenly(total: int, count: int) -> None:
    chosen = evenly(total, count)
    assert len(set(chosen)) == len(chosen) == min(total, count)
    assert chosen == sorted(chosen)
    assert 0 <= chosen[0] <= chosen[-1] < total
    gaps = np.diff([*chosen, total])
    assert gaps.max() - gaps.min() <= 1
