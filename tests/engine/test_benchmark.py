"""The benchmark: its contract, and that one engine's failure is only its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actd.benchmark.run import run_benchmark
from actd.engine import trt

KEYS = {"engine", "status", "size_mb", "p50_ms", "p99_ms", "p999_ms", "max_ms", "error"}


def test_folders_with_torch(engines: Path) -> None:
    folders = [engines / "ort-fp32", engines / "ort-int8"]
    report = run_benchmark(["all"], folders, rounds=3, threads=1)
    data = json.loads(json.dumps(report.to_dict()))
    assert set(data) == {"rows", "machine"}
    assert [row["engine"] for row in data["rows"]] == ["torch", "ort-fp32", "ort-int8"]
    for row in data["rows"]:
        assert set(row) == KEYS
        assert row["status"] == "ok"
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["max_ms"]
    errors = {row["engine"]: row["error"]["max"] for row in data["rows"]}
    assert errors["ort-fp32"] < 1e-4 < errors["ort-int8"]
    assert report.exit_code == 0
    assert report.table().row_count == 3


@pytest.mark.skipif(not trt.missing(), reason="this computer has TensorRT")
def test_one_failure_leaves_the_others(engines: Path, tmp_path: Path) -> None:
    report = run_benchmark(["trt", "ort-fp32"], [engines / "ort-fp32"], rounds=2)
    assert [row.status[:6] for row in report.rows] == ["failed", "ok"]
    assert report.exit_code == 1
    report = run_benchmark(["all"], [engines / "ort-fp32", tmp_path], rounds=2)
    assert report.exit_code == 1
    assert any(row.engine == str(tmp_path) for row in report.rows)


def test_recorded_parity_stands_in_for_torch(engines: Path) -> None:
    report = run_benchmark(["ort-int8"], [engines / "ort-int8"], rounds=2)
    (row,) = report.rows
    assert row.error is not None
    assert row.error["max"] > 0


def test_checkpoint_is_built_once_into_the_cache(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lines: list[str] = []
    for _ in range(2):
        report = run_benchmark(["ort-fp32"], checkpoint=checkpoint, rounds=2, report=lines.append)
        assert report.exit_code == 0
    assert sum("building" in line for line in lines) == 1
