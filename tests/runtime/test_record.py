"""Recording a dataset while the daemon drives: real processes, real frames, real files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from actd.client import Operator
from actd.datasets import open_dataset
from actd.errors import LinkError
from actd.link.messages import Action
from actd.mode import Mode
from tests.background import repeated
from tests.runtime.conftest import JOINTS, Arm, Daemon, wait_until
from tests.runtime.test_daemon import armed

CAMERAS = ["observation.images.cam_high", "observation.images.cam_low"]


def recording(operator: Operator) -> dict[str, Any]:
    found: dict[str, Any] = operator.status()["recording"]
    return found


def wait_for(operator: Operator, *states: str) -> dict[str, Any]:
    wait_until(lambda: recording(operator)["state"] in states, f"the recording to be {states}", 30)
    return recording(operator)


def driven(arm: Arm) -> AbstractContextManager[None]:
    """The arm follows in a thread, while the test does something else."""
    return repeated(lambda: arm.cycle(0.1))


def record_one(daemon: Daemon, arm: Arm, folder: Path) -> dict[str, Any]:
    """One episode from arming to STOP."""
    with daemon.operator() as operator:
        operator.record(str(folder), "wave")
        wait_for(operator, "waiting")
        armed(daemon, arm)
        arm.cycle(1.5)
        operator.stop()
        arm.cycle(2, until=lambda action: action.mode is Mode.STOP)
        found = wait_for(operator, "saved", "failed")
        operator.reset()
    return found


def test_an_episode_is_what_the_arm_received(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "waving"
    with daemon.robot() as robot:
        arm = Arm(robot)
        found = record_one(daemon, arm, folder)
    assert (found["state"], found["episode"]) == ("saved", 0), found
    assert found["why"] == "the daemon went to STOP"

    dataset = open_dataset(folder)
    assert (dataset.fps, dataset.episodes, dataset.names("action")) == (50, [0], JOINTS)
    assert list(dataset.cameras) == CAMERAS
    actions = dataset.actions(0)
    assert len(actions) == found["frames"] > 40
    driving = [a for a in arm.received if a.mode is Mode.ARMED]
    sent = rows(driving)
    # The receiver may miss messages on a busy machine; the recording may not invent any.
    heard = {row.tobytes() for row in sent}
    matched = sum(row.tobytes() in heard for row in actions)
    assert matched > 0.8 * len(actions)
    assert actions[0] == pytest.approx(sent[0], abs=0.01)

    frames = list(dataset.frames(0))
    greys = np.array([[frame[key].mean() for key in CAMERAS] for frame in frames])
    assert greys.max() < 185
    assert (np.abs(np.diff(greys, axis=0)) > 0.5).any(axis=0).all()
    for frame in frames:
        assert np.ptp(frame[CAMERAS[0]].astype(int)) <= 6  # each image is of one grey
    # An arm that is where it was told to be: the state is an earlier action.
    states = dataset.states(0)
    assert np.abs(states[10:-1] - actions[:-11]).max() < 0.5
    assert np.abs(states).max() > 0.02


def rows(actions: list[Action]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([[a.action[name] for name in JOINTS] for a in actions], np.float32)


def actd_record(daemon: Daemon, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "actd", "record", "-c", str(daemon.config), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_the_command_adds_episodes_and_ends_at_ctrl_c(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "waving"
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        armed(daemon, arm)
        with driven(arm):
            timed = actd_record(daemon, "--out", str(folder), "--task", "wave", "--seconds", "0.6")
            output, errors = timed.communicate(timeout=60)
            assert timed.returncode == 0, errors
            assert "episode 0: saved: as long as asked for; 30 frames, 0.6 s at 50 fps" in output
            assert f"next: actd eval {folder} --engine" in output

            until = actd_record(daemon, "--out", str(folder), "--task", "wave more")
            wait_until(
                lambda: (
                    recording(operator)["state"] == "recording"
                    and recording(operator)["frames"] > 5
                ),
                "a second episode to grow",
                30,
            )
            with pytest.raises(LinkError, match=f"already recording to {folder}"):
                operator.record(str(folder), "wave")
            until.send_signal(signal.SIGINT)
            output, errors = until.communicate(timeout=60)
            assert until.returncode == 0, errors
            assert "episode 1: saved: asked to end" in output

            other = actd_record(daemon, "--out", str(folder), "--task", "wave", "--fps", "25")
            output, errors = other.communicate(timeout=60)
            assert other.returncode == 1
            assert "fps: the dataset has 50, this recording 25; give --fps 50" in errors
    dataset = open_dataset(folder)
    assert dataset.episodes == [0, 1]
    assert dataset.length(0) == 30
    assert len(list(dataset.frames(1))) == dataset.length(1)


def test_what_it_waits_for_is_said_where_there_is_no_terminal(
    daemon: Daemon, tmp_path: Path
) -> None:
    process = actd_record(daemon, "--out", str(tmp_path / "never"), "--task", "wave")
    assert process.stderr is not None
    said = [process.stderr.readline()]
    while said[-1] and "waiting" not in said[-1]:
        said.append(process.stderr.readline())
    assert said[-1].startswith("waiting: nothing is commanded yet: arm ("), said
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.endswith("nothing was recorded: the daemon was never armed\n")
    assert "waiting" not in errors  # once, however long it lasts


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"path": "here", "task": "wave"}, "path: found 'here', expected an absolute path"),
    ({"path": "/tmp/x", "task": " "}, "task: found ' '"),
    ({"path": "/tmp/x", "task": "wave", "fps": 30.5}, "fps: found 30.5"),
    ({"path": "/tmp/x", "task": "wave", "fps": float("nan")}, "fps: found nan"),
    ({"path": "/tmp/x", "task": "wave", "fps": 200}, "control rate, 50"),
    ({"path": "/tmp/x", "task": "wave", "seconds": -1}, "seconds: found -1"),
]


def test_a_request_that_cannot_be_met_is_refused(daemon: Daemon) -> None:
    with daemon.operator() as operator:
        for request, diagnostic in REFUSED:
            with pytest.raises(LinkError, match=diagnostic):
                operator.record(**request)
        with pytest.raises(LinkError, match="nothing is being recorded"):
            operator.stop_recording()
        assert recording(operator) == {"state": "off"}


def test_a_folder_that_cannot_be_used_fails_in_words(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("dear diary")
    with daemon.operator() as operator:
        for name, why in (
            ("file/inside", "cannot be made"),
            ("full", "not a LeRobotDataset, it has no meta/info.json"),
        ):
            operator.record(str(tmp_path / name), "wave")
            assert why in wait_for(operator, "failed")["why"]
        operator.record(str(tmp_path / "new"), "wave")
        wait_for(operator, "waiting")
        operator.stop_recording()
        assert wait_for(operator, "empty")["why"].endswith("the daemon was never armed")
        assert not (tmp_path / "new").exists()
        assert operator.status()["ready"]


@pytest.mark.slow
def test_whoever_is_killed_finished_episodes_stay(daemon: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "waving"
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        record_one(daemon, arm, folder)
        before = open_dataset(folder).actions(0)
        armed(daemon, arm)
        with driven(arm):
            begin(operator, folder)
            recorder_of(daemon).kill()
            assert "killed by signal 9" in wait_for(operator, "failed")["why"]
            assert arm.received[-1].mode is Mode.ARMED, "a dead recorder must not end motion"
            assert open_dataset(folder).episodes == [0]

            begin(operator, folder)
            [note] = recording(operator)["notes"]
            assert "dropped an episode that was cut off" in note
            # The whole daemon ends: the episode that is being recorded is saved.
            code, output = daemon.end()
    assert code == 0, output
    dataset = open_dataset(folder)
    assert dataset.episodes == [0, 1]
    assert np.array_equal(dataset.actions(0), before)
    assert len(list(dataset.frames(1))) == dataset.length(1) > 5
    assert not daemon.leftovers()


@pytest.mark.slow
def test_a_killed_daemon_leaves_the_episode_whole(daemon: Daemon, tmp_path: Path) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        armed(daemon, arm)
        with driven(arm):
            begin(operator, tmp_path / "waving")
            recorder = recorder_of(daemon)
            daemon.end(signal.SIGKILL)
            psutil.wait_procs([recorder], timeout=20)
    dataset = open_dataset(tmp_path / "waving")
    assert len(list(dataset.frames(0))) == dataset.length(0) > 5


def begin(operator: Operator, folder: Path) -> None:
    operator.record(str(folder), "wave")
    wait_until(
        lambda: recording(operator)["state"] == "recording" and recording(operator)["frames"] > 5,
        "an episode to grow",
        60,
    )


def recorder_of(daemon: Daemon) -> psutil.Process:
    processes = psutil.Process(daemon.process.pid).children()
    return next(p for p in processes if "actd.runtime.dataset_recorder" in p.cmdline())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_ends_the_episode_and_nothing_else(daemon: Daemon, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with daemon.robot() as robot, daemon.operator() as operator:
            arm = Arm(robot)
            armed(daemon, arm)
            with driven(arm):
                begin(operator, disk / "waving")
                (disk / "ballast").write_bytes(bytes(12 << 20))
                found = wait_for(operator, "saved", "failed")
                assert found["state"] == "saved", found
                assert found["why"].startswith("the disk is nearly full")
                assert arm.received[-1].mode is Mode.ARMED
        dataset = open_dataset(disk / "waving")
        assert len(list(dataset.frames(0))) == dataset.length(0) == found["frames"]
    finally:
        daemon.process.kill()
        subprocess.run(["umount", "-l", str(disk)], check=True)
