"""The benchmark: its contract, and that one engine's failure is only its own."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from actd.cli import app
from actd.engine.base import Observation
from actd.engine.load import missing
from actd.engine.manifest import read_manifest, record_file, write_manifest
from actd.engine.ort import OrtEngine
from actd.engine.reference import REFERENCE
from actd.errors import UsageError
from actd.evaluation import engine_cache
from actd.evaluation.benchmark import BenchRequest, TimingSettings, run_benchmark
from actd.evaluation.engine_cache import CheckpointSource
from actd.evaluation.speed import BenchReport
from actd.evaluation.speed_page import bench_page
from actd.evaluation.speed_table import tables
from actd.policy.untrained import write_untrained

KEYS = {
    "engine",
    "status",
    "size_mb",
    "n",
    "warmup",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "stages",
    "cadence",
    "load_ms",
    "memory_mb",
    "gpu_memory_mb",
    "error",
}


@pytest.fixture(scope="module")
def both(engines: Path) -> BenchReport:
    """Both engines beside torch, two inferences each."""
    folders = [engines / "ort-fp32", engines / "ort-int8"]
    return run_benchmark(
        BenchRequest(folders=folders, threads=1), TimingSettings(rounds=2, warmup=1)
    )


def test_folders_with_torch(both: BenchReport) -> None:
    data = json.loads(json.dumps(both.to_dict()))
    assert set(data) == {"rows", "method", "machine"}
    assert [row["engine"] for row in data["rows"]] == ["torch", "ort-fp32", "ort-int8"]
    for row in data["rows"]:
        assert set(row) == KEYS
        assert (row["status"], row["n"], row["warmup"]) == ("ok", 2, 1)
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["max_ms"]
        assert row["load_ms"] > row["p50_ms"] / 100
        assert row["memory_mb"] > 1
    torch, *rest = data["rows"]
    assert torch["stages"] is None
    for row in rest:
        stages = row["stages"]
        assert 0 < stages["copy_in_ms"] + stages["copy_out_ms"] < stages["run_ms"] <= row["max_ms"]
    errors = {row["engine"]: row["error"]["max"] for row in data["rows"]}
    assert errors["torch"] == 0
    assert errors["ort-fp32"] < 1e-4 < errors["ort-int8"]
    assert both.exit_code == 0


def test_the_page_shows_every_engine_and_needs_nothing_else(both: BenchReport) -> None:
    html = bench_page(both)
    for name in ("torch", "ort-fp32", "ort-int8"):
        assert html.count(name) >= 3  # both tables and the histograms
    assert html.count("<svg") == 2
    assert str(both.machine["kernel"]) in html
    assert not any(outside in html for outside in ("<script", "<link", "src=", "@import"))


def test_a_rate_is_kept_and_compared_with_running_back_to_back(engines: Path) -> None:
    asked = BenchRequest(["ort-fp32"], [engines / "ort-fp32"])
    report = run_benchmark(asked, TimingSettings(rounds=4, warmup=1, rate_hz=20.0))
    (row,) = report.to_dict()["rows"]
    assert row["n"] == 4
    assert row["cadence"]["rate_hz"] == 20
    missed = row["cadence"]["missed"]
    assert 0 <= missed <= 4
    assert row["cadence"]["back_to_back_p50_ms"] > 0
    assert f"{missed} of {4 + missed}" in bench_page(report)


@pytest.mark.slow
@pytest.mark.skipif(not missing("trt"), reason="this computer has TensorRT")
def test_one_failure_leaves_the_others(engines: Path, tmp_path: Path) -> None:
    report = run_benchmark(
        BenchRequest(["trt", "ort-fp32"], [engines / "ort-fp32"]), TimingSettings(rounds=2)
    )
    assert [row.state for row in report.rows] == ["failed", "ok"]
    assert report.exit_code == 1
    report = run_benchmark(
        BenchRequest(["all"], [engines / "ort-fp32", tmp_path]), TimingSettings(rounds=2)
    )
    assert report.exit_code == 1
    assert any(row.engine == str(tmp_path) for row in report.rows)
    shown = Console(width=200, file=io.StringIO(), record=True)
    shown.print(tables(report))
    text = shown.export_text()
    assert "ort-fp32" in text
    assert "manifest.json" in text


def test_an_engine_that_fails_as_it_runs_leaves_the_others(
    engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = OrtEngine.infer

    def failing(engine: OrtEngine, observation: Observation) -> NDArray[np.float32]:
        if engine.name == "ort-int8":
            raise RuntimeError("out of memory\non the second line")
        return infer(engine, observation)

    monkeypatch.setattr(OrtEngine, "infer", failing)
    folders = [engines / "ort-int8", engines / "ort-fp32"]
    report = run_benchmark(BenchRequest(["ort"], folders), TimingSettings(rounds=2))
    states = {row.engine: row.status for row in report.rows}
    assert states["ort-fp32"] == "ok"
    assert "the first inference failed: out of memory on the second" in states["ort-int8"]
    assert report.exit_code == 1


def test_an_engine_that_strays_from_torch_on_this_computer_fails(
    engines: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "ort-fp32"
    shutil.copytree(engines / "ort-fp32", folder)
    with np.load(folder / REFERENCE) as stored:
        arrays = {key: stored[key] for key in stored.files}
    arrays["actions"][0, 0, 1] += 1.0
    np.savez(folder / REFERENCE, **arrays)
    manifest = read_manifest(folder)
    files = tuple(record_file(folder / record.name) for record in manifest.files)
    write_manifest(folder, manifest.model_copy(update={"files": files}))
    (row,) = run_benchmark(BenchRequest(["ort-fp32"], [folder]), TimingSettings(rounds=2)).rows
    assert row.status.startswith("failed: too far from torch on this computer: worst joint 1")
    assert row.timing is not None


def test_a_runtime_stands_for_its_engines(engines: Path) -> None:
    folders = [engines / "ort-fp32", engines / "ort-int8"]
    report = run_benchmark(BenchRequest(["ort"], folders), TimingSettings(rounds=1, warmup=0))
    assert [row.engine for row in report.rows] == ["ort-fp32", "ort-int8"]


@pytest.mark.slow
def test_engines_are_built_again_only_when_what_they_are_made_of_changed(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = CheckpointSource(str(checkpoint))
    lines: list[str] = []
    asked = BenchRequest(["nothing", "ort-fp32"], source=source)
    report = run_benchmark(asked, TimingSettings(rounds=1, warmup=0), lines.append)
    # what cannot be built leaves what can be
    assert [row.state for row in report.rows] == ["failed", "ok"]
    assert "no such engine; use one of" in report.rows[0].status
    assert sum("building ort-fp32" in line for line in lines) == 1

    def built() -> bool:
        lines.clear()
        found = engine_cache.build_or_reuse({"ort-fp32": "ort-fp32"}, source, lines.append)
        assert read_manifest(Path(str(found["ort-fp32"]))).engine == "ort-fp32"
        return any("building" in line for line in lines)

    assert not built()
    inputs = engine_cache._inputs("ort-fp32")
    monkeypatch.setattr(
        engine_cache, "_inputs", lambda name: inputs[::-1]
    )  # as if code had changed
    assert [built(), built()] == [True, False]


def test_other_statistics_are_another_source(tmp_path: Path) -> None:
    size = {"cameras": {"top": (32, 32)}, "chunk_size": 4, "dim_model": 32, "n_heads": 2}
    small = {"action_dim": 2, "state_dim": 2, "dim_feedforward": 32, "n_encoder_layers": 1}
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, mean in zip(folders, (0.0, 1.0), strict=True):
        write_untrained(folder, **size, **small, state_mean=[mean, 0.0])  # type: ignore[arg-type]
    weights = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert weights[0] == weights[1]
    assert len({CheckpointSource(str(folder)).fingerprint for folder in folders}) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "0"], "--rate: 0"),
        (["--rate", "nan"], "--rate: nan"),
        (["--report", "/nowhere/at/all/page.html"], "--report: /nowhere"),
        (["--heads", "8"], "give --checkpoint too"),
        (["--engine", ","], "--engine: no engine named"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_runs(
    options: list[str], said: str
) -> None:
    found = CliRunner().invoke(app, ["bench", *options])
    assert isinstance(found.exception, UsageError)
    assert said in str(found.exception)
