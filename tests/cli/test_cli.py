"""The commands as a person types them, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from actd.cli import app
from tests import layouts

COMMANDS = sorted(get_command(app).commands)


def actd(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    repo = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "actd", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(repo), "COLUMNS": "200"},
    )


def test_help_lists_every_command() -> None:
    assert {"run", "export", "eval", "bench", "record", "replay"} <= set(COMMANDS)
    done = actd("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = actd(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['actd', '--help']\n"
        "from actd.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'cv2', 'torch', 'onnxruntime', 'zmq', 'pydantic', 'mujoco', 'uvloop'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_the_version() -> None:
    assert actd("--version").stdout.startswith("actd ")


@pytest.mark.parametrize(
    "words", [["--nonsense"], ["runn"], ["export"], ["bench", "--rounds", "0"]]
)
def test_a_wrong_call_exits_2(words: list[str]) -> None:
    done = actd(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_init_check_show_on_a_checkpoint(
    small_checkpoint: Path, small_engine: Path, tmp_path: Path
) -> None:
    file = tmp_path / "actd.yaml"
    done = actd("init", small_checkpoint, "--out", file, "--engine", small_engine)
    assert done.returncode == 0, done.stderr
    assert f"next: actd config check {file}" in done.stdout
    assert "# check:" in file.read_text()
    assert actd("config", "check", file).returncode == 0
    dry = actd("run", "--dry-run", file)
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout.startswith("robot: robot-")
    file.write_text(file.read_text().replace("joint_0:", "gripper:"))
    warned = actd("config", "check", file)
    assert warned.returncode == 0
    assert warned.stderr.startswith("warning: robot.joints.gripper: kind: position: ")

    again = actd("init", small_checkpoint, "--out", file)
    assert again.returncode == 2
    assert "exists already" in again.stderr

    shown = json.loads(actd("config", "show", file, "--json").stdout)
    assert shown["control"]["mode"] == "queue"
    assert shown["control"]["n_action_steps"] == 50
    assert len(shown["robot"]["joints"]) == 14
    joint = shown["robot"]["joints"]["joint_1"]
    assert joint["start_distance"] == joint["follow_distance"] == pytest.approx(0.08 * 1.32)


def test_init_for_a_known_robot_from_an_engine(small_engine: Path, tmp_path: Path) -> None:
    file = tmp_path / "actd.yaml"
    done = actd("init", small_engine, "--out", file, "--robot", "aloha")
    assert done.returncode == 0, done.stderr
    assert "left_waist" in file.read_text()
    assert actd("config", "check", file).returncode == 0
    wrong = actd("init", small_engine, "--out", tmp_path / "b.yaml", "--robot", "so101")
    assert wrong.returncode == 2
    assert "6 joints, the policy commands 14" in wrong.stderr


@pytest.mark.slow
def test_init_takes_what_an_original_act_does_not_say(tmp_path: Path) -> None:
    checkpoint = layouts.write_original(tmp_path / "run")
    file = tmp_path / "actd.yaml"
    silent = actd("init", checkpoint, "--out", file)
    assert silent.returncode != 0
    assert "--image-size" in silent.stderr
    assert not file.exists()
    done = actd("init", checkpoint, "--out", file, *layouts.ORIGINAL_HINTS.options())
    assert done.returncode == 0, done.stderr
    assert "joint_13" in file.read_text()


def test_init_without_a_checkpoint_says_what_is_missing(tmp_path: Path) -> None:
    done = actd("init", tmp_path / "none", "--out", tmp_path / "a.yaml")
    assert done.returncode == 2
    assert "no such folder" in done.stderr
    assert not (tmp_path / "a.yaml").exists()


def test_export_then_infer(small_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "engines"
    done = actd("export", small_checkpoint, "--out", out, "--engine", "ort-fp32")
    assert done.returncode == 0, done.stderr
    assert "next: actd bench" in done.stdout
    rng = np.random.default_rng(0)
    observation = {
        "observation.state": rng.normal(size=14).astype(np.float32),
        "observation.images.cam_high": rng.integers(0, 255, (96, 128, 3), dtype=np.uint8),
        "observation.images.cam_low": rng.integers(0, 255, (96, 128, 3), dtype=np.uint8),
    }
    np.savez(tmp_path / "obs.npz", **observation)
    words = ["infer", out / "ort-fp32", "--obs", tmp_path / "obs.npz", "--out", tmp_path / "a.npz"]
    done = actd(*words)
    assert done.returncode == 0, done.stderr
    actions = np.load(tmp_path / "a.npz")["actions"]
    assert actions.shape == (50, 14)
    assert actions.dtype == np.float32

    del observation["observation.images.cam_low"]
    np.savez(tmp_path / "obs.npz", **observation)
    done = actd(*words)
    assert done.returncode == 2
    assert "observation.images.cam_low" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_run_on_what_is_not_there(tmp_path: Path) -> None:
    done = actd("run", cwd=tmp_path)
    assert done.returncode == 78
    assert "actd.yaml: no such file" in done.stderr


def test_the_schema_is_json() -> None:
    assert json.loads(actd("config", "schema").stdout)["title"] == "Config"


def test_init_writes_a_whole_file_or_none(small_engine: Path, tmp_path: Path) -> None:
    file = tmp_path / "actd.yaml"
    file.write_text("mine")
    done = actd("init", small_engine, "--out", file, "--robot", "so101", "--force")
    assert done.returncode == 2
    assert file.read_text() == "mine"
    odd = tmp_path / "cup #2: left" / "ort"
    done = actd("init", small_engine, "--out", file, "--engine", odd, "--force")
    assert done.returncode == 0, done.stderr
    assert json.loads(actd("config", "show", file, "--json").stdout)["engine"] == str(odd)
    assert [path.name for path in tmp_path.iterdir()] == ["actd.yaml"]
    done = actd("init", small_engine, "--out", file / "actd.yaml")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
