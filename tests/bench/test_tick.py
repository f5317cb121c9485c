"""The tick bench: what its figures mean, and that it runs and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench import stage
from bench.peers import RECORD
from bench.tick import frame_over_ms, row

ROOT = Path(__file__).parents[2]
MS = 1_000_000


def records(late_us: list[float], missed: list[int]) -> np.ndarray:
    found = np.zeros(len(late_us), RECORD)
    found["late_ns"] = [round(late * 1000) for late in late_us]
    found["missed"] = missed
    return found


def test_a_row_has_the_tails_of_all_turns_and_the_slots_lost_within_them() -> None:
    # 7 slots were lost between the turns, while others had the computer.
    turns = [records([10.0] * 999, [3] * 999), records([20.0, 900.0], [10, 12])]
    found = row("actd", 100.0, turns)
    assert found == {
        "loop": "actd",
        "hz": 100,
        "p50_us": 10.0,
        "p99_us": 10.0,
        "p999_us": 900.0,
        "max_us": 900.0,
        "missed": 2,
        "n": 1001,
    }
    assert row("actd", 33.3, [records([], [])]) == {"loop": "actd", "hz": 33.3, "n": 0, "missed": 0}


def test_what_a_frame_waits_beyond_inference_and_one_period() -> None:
    plan = np.dtype(
        [("number", "<i8"), ("t_observation_ns", "<i8"), ("started_ns", "<i8"), ("infer_ns", "<i8")]
    )
    plans = np.array(
        [
            (1, 100 * MS, 102 * MS, 80 * MS),  # ready at 182, used at 200
            (2, 200 * MS, 201 * MS, 90 * MS),  # ready at 291, used at 300
            (3, 300 * MS, 301 * MS, 500 * MS),  # not ready within the turn
        ],
        plan,
    )
    ticks = np.zeros(10, [("newest_plan", "<i8"), ("wake_ns", "<i8")])
    ticks["wake_ns"] = np.arange(100, 300, 20)[:10] * MS
    ticks["newest_plan"] = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    more = np.zeros(1, ticks.dtype)
    more["newest_plan"], more["wake_ns"] = 2, 300 * MS
    over_ms = frame_over_ms(plans, np.concatenate([ticks, more]), [(0, 400 * MS)], 20 * MS)
    assert over_ms.tolist() == [0.0, -10.0]


def test_a_paused_process_does_nothing_and_its_end_is_the_end_of_all_it_started(
    tmp_path: Path,
) -> None:
    code = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    process = stage.Process([sys.executable, "-c", code], tmp_path / "log")
    deadline_s = time.monotonic() + 30
    while not (tmp_path / "log").read_text().strip():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    family = [psutil.Process(int((tmp_path / "log").read_text()))]
    family.append(family[0].parent())
    process.pause()
    while any(member.status() != psutil.STATUS_STOPPED for member in family):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.end()
    assert psutil.wait_procs(family, timeout=10)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("load", ["inference", "none"])
def test_all_loops_run_and_an_interrupted_bench_leaves_nothing(tmp_path: Path, load: str) -> None:
    command = [sys.executable, "-m", "bench.tick", "--hz", "50", "--seconds", "2", "--load", load]
    command += ["--json", "--out", str(tmp_path / "tick.json")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout)
    assert [found["loop"] for found in result["rows"]] == [
        "actd",
        "bare-fifo",
        "lerobot-sleep",
        "lerobot-thread",
        "uvloop",
    ]
    keys = {"loop", "hz", "p50_us", "p99_us", "p999_us", "max_us", "missed", "n"}
    assert all(set(found) == keys for found in result["rows"])
    assert all(found["n"] > 10 for found in result["rows"])
    assert result == json.loads((tmp_path / "tick.json").read_text())

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as bench:
        family: list[psutil.Process] = []
        while len(family) < 5 and bench.poll() is None:  # the daemon is up, and its arm
            time.sleep(0.05)
            family = psutil.Process(bench.pid).children(recursive=True)
        os.kill(bench.pid, signal.SIGINT)
        bench.wait(60)
    assert family
    assert psutil.wait_procs(family, timeout=10)[1] == []
