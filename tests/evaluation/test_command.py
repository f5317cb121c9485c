"""`actd eval` as users call it, and as they interrupt it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.datasets import Dataset
from actd.engine.manifest import read_manifest
from actd.errors import RecordingError, UsageError
from tests.policy.edit import edit_json


@pytest.fixture
def command(dataset: Dataset, exported_engine: Path, tmp_path: Path) -> list[str]:
    place = ["--engines", str(exported_engine.parent), "--no-torch", "--out", str(tmp_path)]
    return ["eval", str(dataset.root), *place]


@pytest.mark.slow
def test_it_prints_and_writes_a_page(
    dataset: Dataset, exported_engine: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["eval", str(dataset.root), "--engine", "ort-fp32", "--episodes", "0"]
    options += ["--engines", str(exported_engine.parent), "--out", str(out), "--stride", "4"]
    printed = CliRunner().invoke(app, options)
    assert printed.exit_code == 0, printed.output
    for words in ("2 frames of 1 episodes", "executed L1", "reference", "next: actd bench"):
        assert words in printed.output
    found = json.loads((out / "eval.json").read_text())
    assert list(found["engines"]) == ["ort-fp32", "torch"]
    assert list(found["joint_std"]) == [f"j{i}" for i in range(14)]
    engine = found["engines"]["ort-fp32"]
    joints = engine["chunk"]["per_joint"].values()
    assert engine["chunk"]["l1"] == pytest.approx(sum(j["l1"] for j in joints) / 14)
    assert engine["chunk"]["by_step"]["l1_std"][-1] is None
    assert found["machine"]["versions"]["numpy"]
    html = (out / "eval.html").read_text()
    assert html.count("<svg") == 3 + 14
    assert "Error against torch" in html

    again = CliRunner().invoke(app, [*options, "--json"])
    assert again.exit_code == 0
    assert json.loads(again.stdout)["engines"] == found["engines"]

    (out / "eval.html").write_text("mine")
    refused = CliRunner().invoke(app, options)
    assert isinstance(refused.exception, UsageError)
    assert (out / "eval.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("names", "joints", "note"),
    [
        ([[f"m{i}" for i in range(14)]], [f"m{i}" for i in range(14)], ""),
        ({f"m{i}": i for i in range(14)}, [f"m{i}" for i in range(14)], ""),
        (["actions"], [str(i) for i in range(14)], "action: 1 names for 14 values"),
    ],
)
def test_a_dataset_may_name_its_joints_in_any_way(  # noqa: PLR0917
    names: object,
    joints: list[str],
    note: str,
    dataset: Dataset,
    small_engine: Path,
    tmp_path: Path,
) -> None:
    root = Path(shutil.copytree(dataset.root, tmp_path / "set"))
    edit_json(root / "meta/info.json", lambda d: d["features"]["action"].update(names=names))
    options = ["--engine", "ort-fp32", "--episodes", "0", "--stride", "8", "--no-torch"]
    options += ["--engines", str(small_engine.parent), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["eval", str(root), *options])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "eval.json").read_text())
    assert list(found["joint_std"]) == joints
    assert any(note in line for line in found["notes"]) if note else not found["notes"]


def test_an_engine_beyond_its_tolerance_exits_1(
    dataset: Dataset,
    exported_engine: Path,
    altered: Callable[[str, str, str], Path],
    tmp_path: Path,
) -> None:
    allowed = read_manifest(exported_engine).recipe.tolerance.max_std
    folder = altered("strict", f'"max_std": {allowed}', '"max_std": 1e-12')
    options = ["--episodes", "0", "--stride", "8", "--out", str(tmp_path / "out")]
    failed = CliRunner().invoke(app, ["eval", str(dataset.root), "--engine", str(folder), *options])
    assert failed.exit_code == 1
    assert "allowed 1e-12" in failed.output


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--engine", "ort-int8"], UsageError, "no such engine folder"),
        (["--engine", "ort-fp32", "--episodes", "x"], UsageError, "--episodes: found 'x'"),
        (["--engine", "ort-fp32", "--episodes", "5"], RecordingError, "no episode 5"),
        (["--engine", "ort-fp32", "--episodes", ""], UsageError, "no frame"),
    ],
)
def test_what_is_wrong_is_said(
    options: list[str], error: type[Exception], words: str, command: list[str], tmp_path: Path
) -> None:
    found = CliRunner().invoke(app, [*command, *options])
    assert isinstance(found.exception, error)
    assert words in str(found.exception)
    assert not list(tmp_path.iterdir())


def test_missing_extras_are_named_before_anything_runs(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in ("actd.report.page", "actd.evaluation.accuracy_page"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = CliRunner().invoke(app, [*command, "--engine", "ort-fp32"])
    assert str(found.exception) == "eval needs jinja2; pip install 'actd[record,report]'"


def test_ctrl_c_keeps_what_is_finished(
    dataset: Dataset, exported_engine: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["eval", str(dataset.root), "--engine", str(exported_engine), "--stride", "1"]
    command += ["--no-torch", "--out", str(out)]
    running = subprocess.Popen(
        # frames come slowly, so that the second episode cannot end before the signal
        [sys.executable, "-c", _SLOWLY, *command],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    deadline_s = time.monotonic() + 120
    while not (out / "episodes" / "0.npz").is_file() and time.monotonic() < deadline_s:
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert f"kept in {out}; go on with: actd {' '.join(command)}" in said
    assert [file.name for file in (out / "episodes").iterdir()] == ["0.npz"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads((out / "eval.json").read_text())
    assert found["episodes"] == {"0": {"frames": 8, "ticks": 8}, "1": {"frames": 30, "ticks": 30}}


_SLOWLY = """
import sys, time
from actd.datasets.reader import Dataset
frames = Dataset.frames
def slowly(self, *args):
    for frame in frames(self, *args):
        time.sleep(0.1)
        yield frame
Dataset.frames = slowly
from actd.cli import main
main()
"""
