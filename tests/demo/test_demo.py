"""The demo end to end, as a user runs it: real simulator, real daemon, real wire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from tests.demo.conftest import Demo

Start = Callable[..., Demo]


def assert_nothing_left(demo: Demo) -> None:
    assert demo.left_after(5) == []
    # onnxruntime itself keeps a session file of that name in the temporary folder.
    assert [file for file in demo.temp.iterdir() if file.name != ".ses"] == []


def test_drives_the_arm_and_reports_the_cadence(demo: Start) -> None:
    run = demo("--seconds", "5", "--json")
    result = json.loads(run.rest().splitlines()[-1])
    assert run.process.returncode == 0
    assert result["ticks"] == pytest.approx(5 * result["target_hz"], rel=0.2)
    assert result["mode"] == "ARMED"
    assert result["mode_counts"]["ARMED"] == result["ticks"]
    assert result["chunks"] > 0
    assert result["missed"] < result["ticks"] / 10
    assert result["underruns"] < result["ticks"] / 10
    late = result["lateness_us"]
    assert 0 <= late["p50"] <= late["p99"] <= late["p999"] <= late["max"]
    assert 0 < result["inference_ms"]["p50"] <= result["inference_ms"]["p99"]
    assert set(result["cameras"]) == {"cam_high", "cam_low"}
    assert all(10 < c["fps"] < 40 for c in result["cameras"].values())
    assert result["moved_rad"] > 0.02, "the arm never moved"
    assert result["first_armed_s"] > 0
    video = cv2.VideoCapture(result["video"])
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) > 60
    assert cv2.imread(result["sheet"]).mean() > 20
    assert Path(result["video"]).parent == run.out
    assert_nothing_left(run)


@pytest.mark.slow
def test_the_demos_own_policy_is_armed(tmp_path: Path) -> None:
    """Another one than the small ones of these tests: its first command was out of reach once."""
    done = subprocess.run(
        [sys.executable, "-m", "actd", "demo", "--headless", "--seconds", "5", "--json"],
        cwd=tmp_path,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=170,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["mode_counts"]["ARMED"] > 0.8 * result["ticks"]
    assert result["moved_rad"] > 0.02


def test_ctrl_c_ends_with_the_summary(demo: Start) -> None:
    run = demo()
    run.read_until("ARMED")
    os.kill(run.process.pid, signal.SIGINT)
    text = run.rest()
    assert run.process.returncode == 0, text
    for figure in ("control rate", "tick lateness", "p99.9", "chunk age", "cam_low", "next: actd"):
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


def test_a_killed_demo_takes_its_processes_with_it(demo: Start) -> None:
    run = demo()
    run.read_until("ARMED")
    run.process.kill()
    assert run.left_after(15) == []


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


def test_an_engine_that_is_none_is_refused_in_the_daemons_words(
    demo: Start, tmp_path: Path
) -> None:
    run = demo("--engine", str(tmp_path / "nowhere"))
    text = run.rest()
    assert run.process.returncode not in (0, None)
    assert "nowhere" in text.splitlines()[-1]
    assert "Traceback" not in text
    assert_nothing_left(run)


def test_a_folder_it_cannot_write_to_is_refused_first(demo: Start, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    run = demo("--out", str(file))
    assert f"--out {file}: cannot be created" in run.rest().replace("\n", " ")
    assert run.process.returncode == 1
