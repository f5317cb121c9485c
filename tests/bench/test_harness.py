from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench.bars import BARS, Bar
from bench.harness import Options, check, report, run, speedup

BAR = {"speed": Bar(">=", 2.0, "x", "slower is no use")}


@pytest.mark.parametrize(
    ("op", "value", "passed"),
    [
        ("<=", 1.9, True),
        ("<=", 2.0, True),
        ("<=", 2.1, False),
        (">=", 1.9, False),
        (">=", 2.0, True),
        ("<=", math.nan, False),
        (">=", math.nan, False),
    ],
)
def test_a_bar_holds_or_not(op: str, value: float, passed: bool) -> None:
    assert Bar(op, 2.0, "x", "").holds(value) is passed  # type: ignore[arg-type]


def test_a_metric_that_was_not_measured_fails_its_bar() -> None:
    (verdict,) = check("any", {"other": 9.0}, BAR)
    assert (verdict.passed, verdict.value) == (False, None)


def test_a_missed_bar_is_the_exit_status_and_the_result_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(rounds=1, out=tmp_path / "deep" / "slow.json")
    assert report("slow", {"speed": 1.0}, options, bars=BAR) == 1
    assert report("fast", {"speed": 3.0}, Options(1, out=tmp_path / "fast.json"), bars=BAR) == 0
    kept = json.loads((tmp_path / "deep" / "slow.json").read_text())
    assert kept["metrics"] == {"speed": 1.0}
    assert kept["verdicts"][0]["passed"] is False
    assert kept["machine"]["cores"] >= 1
    shown = capsys.readouterr().out
    assert "speed is 1 x; it must be >= 2 x: slower is no use" in " ".join(shown.split())


def test_a_run_times_each_candidate_and_compares_with_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = {"a": 0, "b": 0}

    def call(name: str) -> None:
        calls[name] += 1

    candidates = {"a": lambda: call("a"), "b": lambda: call("b")}
    options = Options(rounds=5, as_json=True, out=tmp_path / "pair.json")
    status = run("pair", candidates, options, reference="a", warmup=2, metrics={"extra": 7.0})
    assert status == 0
    assert calls == {"a": 7, "b": 7}
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "pair.json").read_text())
    assert printed["metrics"]["a.speedup"] == 1.0
    assert printed["metrics"]["b.n"] == 5
    assert printed["metrics"]["extra"] == 7.0


def test_speedup_is_taken_within_each_round() -> None:
    # The machine was ten times slower in the last two rounds; the candidate is twice as fast.
    assert speedup([10, 10, 100, 100, 100], [5, 5, 50, 50, 50]) == 2.0


def test_every_bar_belongs_to_a_benchmark_and_says_why() -> None:
    here = Path(__file__).parents[2] / "bench"
    for name, bars in BARS.items():
        module = name.partition("-")[0]
        assert (here / f"{module}.py").is_file() or (here / module / "__main__.py").is_file()
        assert all(bar.why for bar in bars.values())


@pytest.mark.parametrize("name", sorted({name.partition("-")[0] for name in BARS}))
def test_every_benchmark_tells_its_options(name: str) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", f"bench.{name}", "--help"]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True)
    assert all(option in done.stdout for option in ("--json", "--out"))
