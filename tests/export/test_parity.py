"""The verdict of a build: its figures, its files, and what a refusal leaves behind."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from actd.cli import app
from actd.datasets import Dataset
from actd.engine.manifest import Manifest, read_manifest
from actd.engine.recipe import Recipe, load_recipe
from actd.engine.verify import compare
from actd.errors import EngineError, UsageError
from actd.export import export
from actd.export.export import export_checkpoint
from actd.export.parity import ParityReport
from actd.export.parity_files import publish_parity, publish_rejection, remove_rejection
from actd.export.parity_page import engine_page
from actd.export.parity_table import render
from actd.policy.checkpoint import load_checkpoint
from actd.report.joints import joint_names

JOINTS = ("waist", "elbow", "grip & <hold>")
STD = (0.5, 2.0, 0.0)


@pytest.fixture
def manifest(exported_engine: Path) -> Manifest:
    return read_manifest(exported_engine).model_copy(update={"action_std": STD})


@pytest.fixture
def parity_report(manifest: Manifest) -> ParityReport:
    """The largest error in units is the elbow's 3, in std the waist's 1 at frame 1, step 2."""
    reference = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    found = reference.copy()
    found[1, 2, 0] += 1.0
    found[0, 3, 1] -= 3.0
    parity = compare(found, reference, STD)
    return ParityReport(manifest, found, reference, parity, None, "ort", "somewhere", JOINTS)


def test_the_figures_by_hand(parity_report: ParityReport) -> None:
    found = json.loads(json.dumps(parity_report.to_dict(), default=lambda array: array.tolist()))
    waist, elbow = found["error"]["per_joint"]["waist"], found["error"]["per_joint"]["elbow"]
    assert waist["max"] == pytest.approx(1, rel=1e-6)
    assert waist["max_std"] == pytest.approx(2, rel=1e-6)
    assert waist["mean"] == pytest.approx(1 / 20, rel=1e-6)
    assert waist["mean_std"] == pytest.approx(2 / 20, rel=1e-6)
    assert elbow["max_std"] == pytest.approx(1.5, rel=1e-6)
    assert found["error"]["worst_joint"] == "waist"
    assert found["error_by_step_std"]["max"] == pytest.approx([0, 0, 2, 1.5, 0], rel=1e-6)
    assert found["error_by_step_std"]["mean"][2] == pytest.approx(2 / 12, rel=1e-6)
    sample = found["worst_sample"]
    assert (sample["frame"], sample["joint"], sample["step"]) == (1, "waist", 2)
    assert sample["engine"][2] - sample["torch"][2] == pytest.approx(1, rel=1e-6)
    assert found["passed"]
    assert parity_report.worst_first() == [0, 1, 2]


def test_the_page_shows_all_of_it(parity_report: ParityReport, manifest: Manifest) -> None:
    html = engine_page(parity_report)
    assert html.count("<svg") == 4
    assert "grip &amp; &lt;hold&gt;" in html
    assert "<hold>" not in html
    assert manifest.source.weights_sha256 in html
    assert "http" not in re.sub(r'xmlns(:xlink)?="http[^"]*"', "", html)
    # a label keeps its digits, a drawn point does not
    assert not re.search(r' d="[^"]*\.\d{3}', html)


def test_the_table_begins_with_the_worst_joint(parity_report: ParityReport) -> None:
    console = Console(width=80, record=True)
    console.print(render([parity_report]))
    text = console.export_text()
    assert text.index("waist") < text.index("elbow") < text.index("grip")
    assert max(map(len, text.splitlines())) <= 80


def test_joints_have_names_where_somebody_gives_them(
    small_checkpoint: Path, dataset: Dataset
) -> None:
    spec = load_checkpoint(small_checkpoint).spec
    assert joint_names(spec, None) == tuple(map(str, range(14)))
    assert joint_names(spec, small_checkpoint) == tuple(map(str, range(14)))
    assert joint_names(spec, dataset.root) == tuple(f"j{i}" for i in range(14))
    named = replace(spec, names={"action": tuple(f"motor{i}" for i in range(14))})
    assert joint_names(named, dataset.root) == named.names["action"]
    # not the joints of this policy
    six = replace(spec, action=replace(spec.action, shape=(6,)), statistics={}, names={})
    assert joint_names(six, dataset.root) == tuple(map(str, range(6)))


@pytest.mark.slow
def test_export_on_a_recording_keeps_its_verdict(
    dataset: Dataset, small_checkpoint: Path, tmp_path: Path
) -> None:
    options = ["--out", str(tmp_path), "--engine", "ort-fp32", "--calibration", str(dataset.root)]
    printed = CliRunner().invoke(app, ["export", str(small_checkpoint), *options])
    assert printed.exit_code == 0, printed.output
    assert "worst of 14 joints" in printed.output
    found = json.loads((tmp_path / "ort-fp32" / "parity.json").read_text())
    manifest = read_manifest(tmp_path / "ort-fp32")
    assert manifest.parity is not None
    assert list(found["error"]["per_joint"]) == [f"j{i}" for i in range(14)]
    assert found["error"]["max_std"] == manifest.parity.statistics.max_std
    assert found["passed"]
    assert str(dataset.root) in found["frames"]["source"]


def strict(name: str) -> Recipe:
    recipe = load_recipe(name)
    return recipe.model_copy(
        update={"tolerance": recipe.tolerance.model_copy(update={"p99_std": 1e-12})}
    )


@pytest.mark.slow
def test_a_refusal_says_why_and_is_forgotten_by_a_build_that_passes(
    small_checkpoint: Path, exported_engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why, page = (tmp_path / f"ort-fp32.rejection.{kind}" for kind in ("json", "html"))
    shutil.copytree(exported_engine, tmp_path / "ort-fp32")
    before = (tmp_path / "ort-fp32" / "manifest.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(export, "load_recipe", strict)
        with pytest.raises(EngineError, match=r"allowed 1e-12.* errors are in .*rejection\.html"):
            export_checkpoint(small_checkpoint, tmp_path, ["ort-fp32"])
    assert (tmp_path / "ort-fp32" / "manifest.json").read_bytes() == before
    found = json.loads(why.read_text())
    assert not found["passed"]
    assert "allowed 1e-12" in found["refused"]
    assert "refused" in page.read_text()

    export_checkpoint(small_checkpoint, tmp_path, ["ort-fp32"])
    assert [file.name for file in tmp_path.iterdir()] == ["ort-fp32"]


def test_notes_of_the_user_stay(parity_report: ParityReport, tmp_path: Path) -> None:
    notes = tmp_path / "ort-fp32.rejection.json"
    notes.write_text("mine")
    with pytest.raises(
        UsageError, match=r"rejection\.json: exists and was not written by actd export"
    ):
        publish_rejection(parity_report, tmp_path)
    remove_rejection(tmp_path, "ort-fp32")
    assert notes.read_text() == "mine"


def test_without_the_report_extra_there_is_no_page(
    parity_report: ParityReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in ("actd.report.page", "actd.export.parity_page"):
        monkeypatch.delitem(sys.modules, name)
    assert [file.name for file in publish_parity(parity_report, tmp_path)] == ["parity.json"]
    assert [file.name for file in tmp_path.iterdir()] == ["parity.json"]
