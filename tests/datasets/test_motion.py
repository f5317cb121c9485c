"""How demonstrations move: motion whose rates are known by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.datasets import open_dataset
from actd.datasets.motion import measure
from actd.demonstrations import STATISTICS, Demonstrations
from actd.errors import RecordingError
from tests.datasets.making import write_motion
from tests.policy.edit import edit_json

FPS = 30
TIMES = np.arange(0, 4, 1 / FPS)


def sine(amplitude: float, hz: float) -> np.ndarray:
    moved: np.ndarray = amplitude * np.sin(2 * np.pi * hz * TIMES)
    return moved


def measured(
    folder: Path, *episodes: tuple[np.ndarray, np.ndarray], **kinds: object
) -> Demonstrations:
    joints = [f"j{k}.pos" for k in range(episodes[0][0].shape[1])]
    write_motion(folder, episodes, joints, **kinds)  # type: ignore[arg-type]
    return measure(open_dataset(folder), "lab/cup")


def test_rates_start_and_range_of_a_known_motion(tmp_path: Path) -> None:
    moving = np.stack([sine(2.0, 0.5) + 1, np.full_like(TIMES, 45.3)], axis=1)
    found = measured(tmp_path / "set", (moving, moving), robot_type="so101_follower")
    w, motion = np.pi, found.motion
    assert motion.velocity == pytest.approx((2 * w, 0), rel=0.01)
    assert motion.acceleration == pytest.approx((2 * w**2, 0), rel=0.01)
    assert motion.jerk == pytest.approx((2 * w**3, 0), rel=0.01)
    assert motion.start == pytest.approx((1, 45.3))
    assert motion.follow_error == motion.start_error == (0, 0)
    assert (motion.source, motion.episodes, motion.rows) == ("lab/cup", 1, len(TIMES))
    assert motion.fps == FPS
    assert found.robot_type == "so101_follower"
    assert found.names["action"] == ("j0.pos", "j1.pos")
    assert set(found.statistics["action"]) == set(STATISTICS)
    assert found.statistics["action"]["min"] == pytest.approx((-1, 45.3), abs=0.01)
    assert found.statistics["observation.state"]["mean"] == pytest.approx((1, 45.3), abs=0.01)


def test_a_joint_that_moves_rarely_is_known_by_the_rows_at_which_it_does(tmp_path: Path) -> None:
    """The 99.9th percentile of all rows would be 0, and a limit of 0 would stop the gripper."""
    rows = np.zeros((4000, 1))
    rows[2000:] = 1.0
    found = measured(tmp_path / "set", (rows, rows))
    assert found.motion.velocity == (FPS,)
    assert found.motion.acceleration == (FPS**2,)


def test_rates_do_not_reach_across_episodes(tmp_path: Path) -> None:
    here, there = np.zeros((20, 1)), np.full((20, 1), 50.0)
    found = measured(tmp_path / "set", (here, here), (there, there))
    assert found.motion.velocity == (0,)
    assert found.motion.start == (25,)
    assert found.statistics["action"]["max"] == (50,)


def test_how_far_the_arm_was_from_its_commands(tmp_path: Path) -> None:
    commands = np.stack([TIMES, sine(1.0, 0.5)], axis=1)
    states = commands - [0.3, 0.0]
    states[10:13, 1] += 5.0  # shorter than what counts
    states[0, 1] += 0.2
    found = measured(tmp_path / "set", (commands, states))
    assert found.motion.follow_error[0] == pytest.approx(0.3)
    assert found.motion.follow_error[1] == pytest.approx(0, abs=1e-6)
    assert found.motion.start_error == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(
    ("states", "errors"),
    [
        (("j1.pos", "j0.pos"), (7, 7)),  # another order
        (("j0.pos", "j0.vel", "j1.pos"), (0, 0.5)),  # more than the joints
        (("a", "b"), (3, 4)),  # other names for as many
        (("a", "b", "c"), (0, 0)),  # whose they are is not known
    ],
)
def test_a_joint_is_found_in_the_state_by_name_or_by_place(
    states: tuple[str, ...], errors: tuple[float, float], tmp_path: Path
) -> None:
    values = {"j0.pos": -7.0, "j1.pos": 7.0, "a": 3.0, "b": 4.0, "c": 9.0}
    if len(states) == 3 and "j0.vel" in states:
        values = {"j0.pos": 0.0, "j0.vel": 9.0, "j1.pos": 0.5}
    rows = np.tile([values[name] for name in states], (20, 1))
    found = measured(tmp_path / "set", (np.zeros((20, 2)), rows), states=states)
    assert found.motion.follow_error == errors


@settings(max_examples=5, deadline=None)
@given(scale=st.floats(0.01, 100), offset=st.floats(-100, 100), shift=st.integers(1, 3))
def test_rates_scale_with_the_unit_and_know_no_zero(
    scale: float, offset: float, shift: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = np.cumsum(np.random.default_rng(shift).normal(size=(60, 2)), axis=0)
    plain = measured(tmp_path_factory.mktemp("a") / "set", (base, base)).motion
    other = measured(
        tmp_path_factory.mktemp("b") / "set", (scale * base + offset, scale * base + offset)
    ).motion
    for name in ("velocity", "acceleration", "jerk"):
        ours, theirs = getattr(plain, name), getattr(other, name)
        # the recorded numbers are float32
        grain = 1e-6 * (abs(offset) + 60 * scale) * FPS**3
        assert theirs == pytest.approx([scale * value for value in ours], rel=1e-3, abs=grain)


def test_an_episode_of_one_row_has_no_rates(tmp_path: Path) -> None:
    row = np.ones((1, 2))
    found = measured(tmp_path / "set", (row, row))
    assert found.motion.velocity == found.motion.jerk == found.motion.follow_error == (0, 0)


def test_numbers_that_are_none_are_named(tmp_path: Path) -> None:
    rows = np.zeros((10, 2))
    rows[3, 1] = np.nan
    with pytest.raises(RecordingError, match="action: a value that is not finite in row 3 of epis"):
        measured(tmp_path / "set", (rows, np.zeros((10, 2))))


def test_a_dataset_without_actions_or_episodes(tmp_path: Path) -> None:
    folder = write_motion(tmp_path / "set", [(np.zeros((9, 1)), np.zeros((9, 1)))], ["a"])
    edit_json(folder / "meta/info.json", lambda info: info["features"].pop("action"))
    with pytest.raises(RecordingError, match="has no feature `action`"):
        measure(open_dataset(folder), "set")
    empty = write_motion(tmp_path / "none", [(np.zeros((9, 1)), np.zeros((9, 1)))], ["a"])
    shutil.rmtree(empty / "meta/episodes")
    with pytest.raises(RecordingError, match="has no episodes"):
        measure(open_dataset(empty), "none")


@pytest.mark.parametrize("step", [360 / 4095, 200 / 2617, 0.0])
def test_the_steps_of_a_servo_are_seen_in_its_state(step: float, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(-95, 95, (400, 1))
    states = np.rint(rows / step) * step + 0.03 if step else rows
    motion = measured(tmp_path / "set", (rows, states)).motion
    assert motion.resolution == pytest.approx((step,), rel=1e-3)
    assert measured(tmp_path / "few", (rows[:20], states[:20])).motion.resolution == (0,)
