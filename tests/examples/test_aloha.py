"""The example's scripted task, its dataset, and what LeRobot makes of it, in small."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actd.datasets import Dataset, open_dataset
from actd.engine.base import Observation, Stages
from actd.policy.spec import PolicySpec
from actd.sim.aloha import JOINTS, AlohaSim, model_path
from actd.sim.scene import BAR
from examples.aloha import collect, evaluate
from examples.aloha.expert import Expert
from examples.aloha.reach import FINGERTIPS_M, Place, Reach, UnreachableError
from examples.aloha.tasks import TASKS
from tests.engines import policy_spec, write_waving_engine

ROOT = Path(__file__).resolve().parents[2]
TOP = "observation.images.cam_high"
CHUNK = 50
LIFT, HAND_OVER = TASKS["bar"], TASKS["cube"]


@pytest.fixture(scope="module")
def sim() -> Iterator[AlohaSim]:
    with AlohaSim(BAR) as arms:
        yield arms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("aloha") / "set"
    assert collect.collect(path, LIFT, episodes=3) == 0, "a bar was lost"
    return path


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return open_dataset(folder)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(0.0, 1.4, 0.0), (0.4, 1.1, 0.0), (-0.4, 1.1, 0.0), (0.2, 0.6, np.pi / 2)],
)
def test_the_fingertips_go_where_they_are_sent(
    sim: AlohaSim, side: str, yaw: float, pitch: float, roll: float
) -> None:
    ahead = -1 if side == "right" else 1
    place = np.array([0.05 * ahead, 0.55, 0.2])
    sim.reset(0.0, 0.75, 0.0)
    angles = Reach(sim).angles(side, Place(*place, yaw, pitch, roll))
    for _ in range(300):
        sim.step(angles, 0.01)
    gripper = sim._data.body(f"vx300s_{side}/gripper_link")
    direction, across, _ = gripper.xmat.reshape(3, 3).T
    np.testing.assert_allclose(gripper.xpos + FINGERTIPS_M * direction, place, atol=0.015)
    level = np.array([np.cos(yaw), np.sin(yaw)]) * ahead * np.cos(pitch)
    np.testing.assert_allclose(direction, [*level, -np.sin(pitch)], atol=0.06)
    assert across[2] == pytest.approx(np.sin(roll) * np.cos(pitch), abs=0.06)


def test_a_place_out_of_reach_is_refused(sim: AlohaSim) -> None:
    with pytest.raises(UnreachableError, match="left arm"):
        Reach(sim).angles("left", Place(1.5, 0.5, 0.2))


def test_the_environment_itself_rewards_the_handover_in_full() -> None:
    """The expert's targets in gym-aloha's own physics, actions and reward, as in ours."""
    assert _handovers(places=4, above_noise_rad=0.0) == 4


@pytest.mark.slow
def test_the_cube_is_handed_over_from_nearly_everywhere() -> None:
    assert _handovers(places=100) >= 95


def _handovers(places: int, **noise: float) -> int:
    """In how many of so many seeded demonstrations the left gripper has the cube at the end."""
    tasks = pytest.importorskip("gym_aloha.tasks.sim")
    physics = pytest.importorskip("dm_control.mujoco").Physics.from_xml_path(str(model_path()))
    environment = tasks.TransferCubeTask()
    successes = 0
    with AlohaSim(HAND_OVER.scene) as sim:
        expert = Expert(sim, HAND_OVER, **noise)
        for number in range(places):
            targets = expert.demonstration(np.random.default_rng((5, number)))
            with physics.reset_context():
                physics.data.qpos[:] = sim._data.qpos
                physics.data.ctrl[:] = sim._data.ctrl
            for target in targets:
                sim.step(dict(zip(JOINTS, target.tolist(), strict=True)), 1 / HAND_OVER.scene.hz)
                environment.before_step(target, physics)
                physics.step(round(1 / HAND_OVER.scene.hz / physics.timestep()))
            is_rewarded = environment.get_reward(physics) == environment.max_reward
            assert is_rewarded == sim.is_done, number
            successes += is_rewarded
    return successes


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
    assert dataset.cameras == tuple(f"observation.images.{name}" for name in BAR.cameras)
    arms = [number for number, name in enumerate(JOINTS) if not name.endswith("gripper")]
    for episode in dataset.episodes:
        assert 60 <= dataset.length(episode) <= 100
        behind = dataset.actions(episode)[:-1] - dataset.states(episode)[1:]
        assert np.abs(behind[:, arms]).max() < 0.3


def test_a_recording_that_ended_early_goes_on_as_if_it_had_not(
    dataset: Dataset, tmp_path: Path
) -> None:
    for episodes in (1, 2):
        collect.collect(tmp_path / "again", LIFT, episodes)
    again = open_dataset(tmp_path / "again")
    assert len(again.episodes) == 2
    for episode in again.episodes:
        assert np.array_equal(again.actions(episode), dataset.actions(episode))


def test_a_bar_that_is_lost_is_not_recorded(
    sim: AlohaSim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Expert.demonstration
    tries = iter([False, True])

    def demonstration(self: Expert, random: np.random.Generator) -> np.ndarray:
        targets = plan(self, random)
        return targets if next(tries) else np.repeat(targets[:1], 60, axis=0)

    monkeypatch.setattr(Expert, "demonstration", demonstration)
    assert collect.collect(tmp_path / "set", LIFT, episodes=1) == 1
    assert len(open_dataset(tmp_path / "set").episodes) == 1


def test_an_interrupted_recording_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(collect, "_record", interrupted)
    assert collect.main([str(tmp_path / "set"), "--episodes", "1"]) == 130
    assert capsys.readouterr().err.endswith("set: interrupted; the same command goes on\n")


def test_a_folder_of_other_files_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert collect.main([str(tmp_path), "--episodes", "1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("command", [collect, evaluate])
def test_a_task_that_is_none_is_refused(
    command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main([str(tmp_path / "set"), "--task", "sphere"])
    assert "--task: invalid choice: 'sphere' (choose from" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_dataset_of_another_task_is_not_gone_on_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect.main([str(folder), "--task", "cube", "--episodes", "4"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(folder) in error


def test_a_batch_holds_the_actions_from_each_frame_on(dataset: Dataset) -> None:
    frames_module = pytest.importorskip("examples.aloha.frames")
    frames = frames_module.Frames(dataset, [0, 2], CHUNK)
    first, second = dataset.actions(0), dataset.actions(2)
    assert len(frames) == len(first) + len(second)
    near_end, start = len(first) - 3, len(first)
    batch = frames.batch(np.array([0, near_end, start]))
    assert batch[TOP].shape == (3, 3, BAR.height, BAR.width)
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
def test_lerobot_trains_on_it_in_pieces_and_actd_loads_the_result(
    lerobot_python: str, folder: Path, tmp_path: Path
) -> None:
    from actd.policy.checkpoint import load_checkpoint

    train, run = partial(_train, lerobot_python, folder), tmp_path / "run"
    for steps in ("3", "5"):
        done = train(run, "--steps", steps)
        assert done.returncode == 0, done.stderr[-3000:]
        assert f"step {steps} " in done.stdout
        assert all(name in done.stdout for name in JOINTS)
    assert "step 3 of 5" in done.stdout
    curve = _curve(run)
    assert [point["step"] for point in curve] == [3, 5]
    assert (run / "training.png").stat().st_size > 1000
    checkpoint = load_checkpoint(run)
    assert checkpoint.spec.chunk_size == CHUNK
    assert checkpoint.spec.trained_hz == BAR.hz
    train(tmp_path / "other", "--steps", "1", "--seed", "1", "--weights", str(run))
    assert _curve(tmp_path / "other")[0]["held_out"] == pytest.approx(
        curve[-1]["held_out"], rel=0.01
    )
    done = train(tmp_path / "third", "--weights", "nowhere")
    assert done.returncode == 1
    assert done.stderr.endswith("nowhere/checkpoints/last: no such folder; give a RUN\n")
    assert not (tmp_path / "third").exists()


def _train(python: str, folder: Path, run: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    small = ["--held-out", "1", "--dim-model", "64", "--dim-feedforward", "64"]
    return subprocess.run(
        [python, "-W", "ignore", "-m", "examples.aloha.train", folder, run, *flags, *small],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
    )


def _curve(run: Path) -> list[dict[str, float]]:
    file = run / "checkpoints" / "last" / "training_state" / "training_step.json"
    curve: list[dict[str, float]] = json.loads(file.read_text())["curve"]
    return curve


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
        assert observation[TOP].shape == (BAR.height, BAR.width, 3)
        self.seen.append(observation)
        rows = np.arange(self._row, self._row + self.spec.chunk_size)
        self._row += evaluate.ROWS
        return self._targets[np.minimum(rows, len(self._targets) - 1)].astype(np.float32)

    def close(self) -> None:
        """Holds nothing."""


def test_an_evaluation_tells_who_lifts_the_bar(sim: AlohaSim) -> None:
    spec = policy_spec(14, dict.fromkeys(BAR.cameras, (BAR.height, BAR.width)), CHUNK)
    random = np.random.default_rng((evaluate.SEED, 0))
    targets = Expert(sim).demonstration(random)
    attempts = evaluate.Attempts(sim)
    expert = Replayed(targets, spec)
    assert attempts.attempt(expert, 0)
    assert not attempts.attempt(Replayed(targets[:1], spec), 0), "arms that stay lift nothing"
    elsewhere = attempts.images(1)
    again = Replayed(targets, spec)
    attempts.attempt(again, 0, elsewhere)
    assert not np.array_equal(expert.seen[0][TOP], elsewhere[TOP])
    assert all(np.array_equal(seen[TOP], elsewhere[TOP]) for seen in again.seen)


def test_an_engine_is_held_against_the_first() -> None:
    first, other = [True, True, False, True], [True, False, True, True]
    line = evaluate.describe("b", other, first)
    assert line.startswith("b: 3 of 4 (75.0%, 95 % 30.1% to 95.4%)")
    assert line.endswith("against the first 1 lost, 1 gained (p 1)")
    assert "against" not in evaluate.describe("a", first, first)


def test_an_engine_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main([str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nowhere" in error


def test_an_engine_for_another_task_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = policy_spec(14, dict.fromkeys(BAR.cameras, (BAR.height, BAR.width)), CHUNK)
    engine = write_waving_engine(tmp_path / "engine", spec)
    assert evaluate.main([str(engine), "--task", "cube", "--places", "1"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "sees cam_high, cam_low; the task shows near_high, near_low: give the --task" in error


@pytest.mark.parametrize("flag", ["--places", "--rows"])
def test_none_at_all_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["engine", flag, "0"])
    assert f"argument {flag}: 0; give 1 or more" in capsys.readouterr().err


def _is_red(image: np.ndarray) -> np.ndarray:
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 120) & (green < 80) & (blue < 80)
