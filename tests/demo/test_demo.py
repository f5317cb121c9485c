"""The demo end to end, as a user runs it: real simulator, real daemon, real wire."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from actd.engine.ort import OUTPUT
from actd.sim.scene import BAR
from tests.demo.conftest import Demo
from tests.engines import STATE, constant, policy_spec, write_engine, write_waving_engine

Start = Callable[..., Demo]


def assert_nothing_left(demo: Demo) -> None:
    assert demo.left_after(5) == []
    # onnxruntime itself keeps a session file of that name in the temporary folder.
    assert [file for file in demo.temp.iterdir() if file.name != ".ses"] == []


def test_does_the_task_and_reports_the_cadence(demo: Start) -> None:
    run = demo("--seconds", "15", "--json")
    result = json.loads(run.rest().splitlines()[-1])
    assert run.process.returncode == 0
    assert result["ticks"] == pytest.approx(15 * result["target_hz"], rel=0.2)
    # Driven, held, released for the way home, driven again: all on the wire.
    modes = result["mode_counts"]
    assert 0 < result["successes"] <= result["attempts"]
    assert modes["ARMED"] > modes["HOLD"] > 0 < modes["IDLE"]
    assert result["chunks"] > 0
    assert result["missed"] < result["ticks"] / 10
    assert result["underruns"] < result["ticks"] / 10
    late = result["lateness_us"]
    assert 0 <= late["p50"] <= late["p99"] <= late["p999"] <= late["max"]
    assert 0 < result["inference_ms"]["p50"] <= result["inference_ms"]["p99"]
    assert set(result["cameras"]) == set(BAR.cameras)
    assert all(10 < c["fps"] < 40 for c in result["cameras"].values())
    assert result["moved_rad"] > 0.5
    assert result["first_armed_s"] > 0
    video = cv2.VideoCapture(result["video"])
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) > 150
    assert cv2.imread(result["sheet"]).mean() > 20
    assert Path(result["video"]).parent == run.out
    assert_nothing_left(run)


@pytest.mark.slow
def test_ctrl_c_ends_with_the_summary(demo: Start) -> None:
    run = demo()
    run.read_until("ARMED")
    os.kill(run.process.pid, signal.SIGINT)
    text = run.rest()
    assert run.process.returncode == 0, text
    for figure in (
        "attempts done",
        "control rate",
        "tick lateness",
        "p99.9",
        "chunk age",
        "cam_low",
        "next: actd",
    ):
        assert figure in text
    left = sorted(file.name for file in run.out.iterdir())
    assert left == ["demo.mp4", "demo.png", "flights"]
    assert_nothing_left(run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_end_before_the_first_tick_leaves_nothing(demo: Start, number: int) -> None:
    run = demo()
    run.read_until("waiting:")
    os.kill(run.process.pid, number)
    assert "interrupted" in run.rest()
    assert run.process.returncode == 130
    assert not run.out.exists()
    assert_nothing_left(run)


@pytest.mark.slow
def test_a_killed_demo_takes_its_processes_with_it(demo: Start) -> None:
    run = demo()
    run.read_until("ARMED")
    run.process.kill()
    assert run.left_after(15) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "name"), [("actd.sim.robot", "simulated robot"), ("run", "daemon")]
)
def test_a_part_that_dies_is_named_and_the_rest_ends(demo: Start, argument: str, name: str) -> None:
    run = demo()
    run.read_until("ARMED")
    for pid in run.processes(argument):
        os.kill(pid, signal.SIGKILL)
    assert f"the {name} ended (SIGKILL)" in run.rest()
    assert run.process.returncode == 1
    assert_nothing_left(run)


@pytest.mark.slow
def test_another_policy_is_attempted_until_the_time_is_up(demo: Start, tmp_path: Path) -> None:
    """On gym-aloha's own table, by a policy that stays where it is: no cube is handed over."""
    spec = policy_spec(14, {"top": (480, 640)}, chunk_size=50)
    staying = [
        constant("shape", np.array([50, 14], np.int64)),
        onnx.helper.make_node("Expand", [STATE, "shape"], [OUTPUT]),
    ]
    engine = write_engine(tmp_path / "staying", spec, staying)
    run = demo("--policy", str(engine), "--seconds", "4", "--json")
    result = json.loads(run.rest().splitlines()[-1])
    assert run.process.returncode == 0
    assert set(result["cameras"]) == {"top"}
    assert (result["successes"], result["attempts"]) == (0, 0)
    assert result["mode_counts"]["ARMED"] > 100
    assert_nothing_left(run)


def test_a_policy_that_no_scene_fits_is_refused(demo: Start, tmp_path: Path) -> None:
    other = write_waving_engine(tmp_path / "other", policy_spec(14, {"top": (32, 48)}, 50))
    run = demo("--policy", str(other))
    text = run.rest()
    assert run.process.returncode == 2
    assert "trained with top 32x48; the demo has cam_high 96x128" in text.replace("\n", " ")
    assert "Traceback" not in text
    assert_nothing_left(run)


def test_a_folder_it_cannot_write_to_is_refused_first(demo: Start, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    run = demo("--out", str(file))
    assert f"--out {file}: cannot be created" in run.rest().replace("\n", " ")
    assert run.process.returncode == 2
