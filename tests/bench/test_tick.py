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
from bench.lateness import Turn, chunk_row, figures, frame_over_ms, inside, row, slower
from bench.wire import ARRIVAL, CHUNK, TICK

ROOT = Path(__file__).parents[2]
MS = 1_000_000
S = 1_000_000_000


def ticks(late_us: list[float], missed: list[int], sent_us: float = 100.0) -> np.ndarray:
    """Ticks of 100 Hz, numbered from 1, sent so long after they woke."""
    found = np.zeros(len(late_us), TICK)
    late_ns = np.array([round(late * 1000) for late in late_us])
    found["seq"] = np.arange(1, len(late_us) + 1)
    found["wake_ns"] = found["seq"] * 10 * MS + late_ns
    found["late_ns"] = late_ns
    found["sent_ns"] = found["wake_ns"] + round(sent_us * 1000)
    found["missed"] = missed
    return found


def arrivals(of: np.ndarray, after_us: float = 50.0) -> np.ndarray:
    """So long after these ticks were sent."""
    found = np.zeros(len(of), ARRIVAL)
    found["seq"], found["arrival_ns"] = of["seq"], of["sent_ns"] + round(after_us * 1000)
    return found


def chunks(infer_ms: list[float]) -> np.ndarray:
    found = np.zeros(len(infer_ms), CHUNK)
    found["infer_ns"] = [round(each * MS) for each in infer_ms]
    return found


NO_CHUNKS = chunks([])


def turn(of: np.ndarray, infer_ms: list[float] | None = None, cpu_s: float = 0.1) -> Turn:
    return Turn((0, S), of, arrivals(of), chunks(infer_ms or []), cpu_s)


def test_a_row_has_the_tails_of_all_turns_and_the_slots_lost_within_them() -> None:
    # 7 slots were lost between the turns, while others had the computer.
    turns = [turn(ticks([10.0] * 999, [3] * 999)), turn(ticks([20.0, 900.0], [10, 12]), cpu_s=0.3)]
    found = row("actd", 100.0, turns)
    assert found == {
        "loop": "actd",
        "hz": 100,
        "n": 1001,
        "missed": 2,
        "lost": 0,
        "cpu": 0.2,
        "wake": {"p50_us": 10.0, "p99_us": 10.0, "p999_us": 900.0, "max_us": 900.0},
        "sent": {"p50_us": 110.0, "p99_us": 110.0, "p999_us": 1000.0, "max_us": 1000.0},
        "arrival": {"p50_us": 160.0, "p99_us": 160.0, "p999_us": 1050.0, "max_us": 1050.0},
    }
    nothing = row("actd", 33.3, [turn(ticks([], []))])
    assert (nothing["hz"], nothing["n"], nothing["missed"], nothing["wake"]) == (33.3, 0, 0, {})


def test_lateness_counts_from_the_slot_that_was_waited_for_and_by_number() -> None:
    # The 2nd tick is 25 ms late and so two slots on; the arm saw the 3rd before it.
    sent = ticks([0.0, 25_000.0, 0.0], [0, 2, 2])
    seen = arrivals(sent)[[0, 2]]
    found = row("actd", 100.0, [Turn((0, S), sent, seen, NO_CHUNKS, 0.0)])
    assert found["lost"] == 1
    assert found["sent"]["max_us"] == 25_100.0
    assert found["arrival"]["max_us"] == 150.0


def test_a_chunk_is_compared_within_its_turn() -> None:
    # In the second turn the computer was half as fast, for both.
    own = [turn(ticks([], []), [52.0, 52.0, 70.0]), turn(ticks([], []), [104.0])]
    alone = [turn(ticks([], []), [50.0, 50.0]), turn(ticks([], []), [100.0])]
    assert slower(own, alone) == pytest.approx((0.04, 0.04, 0.04))
    assert np.isnan(slower(own, [turn(ticks([], []))] * 2)).all()
    found = chunk_row("actd", 100.0, own)
    assert (found["n"], found["infer_p50_ms"], found["chunks_per_s"]) == (4, 61.0, 2.0)
    assert chunk_row("actd", 100.0, [turn(ticks([], []))])["n"] == 0


def test_turns_that_differ_give_an_interval() -> None:
    own = [turn(ticks([], []), [50.0 + k]) for k in range(9)]
    share, low, high = slower(own, [turn(ticks([], []), [50.0])] * 9)
    assert share == pytest.approx(0.08)
    assert 0.0 <= low < share < high <= 0.16


def test_actd_is_held_against_the_bare_loop() -> None:
    quiet, stalled = [10.0] * 1000, [10.0] * 990 + [7000.0] * 10
    turns = {
        # In one turn of three the computer stood still, for one of the two.
        "actd": [
            turn(ticks(late, [0] * 1000, sent_us=400.0), [55.0]) for late in (quiet, stalled, quiet)
        ],
        "bare": [turn(ticks(quiet, [0] * 1000, sent_us=100.0), [52.0])] * 3,
        "engine": [turn(ticks([], []), [50.0])] * 3,
    }
    rows = {name: row(name, 100.0, turns[name]) for name in ("actd", "bare")}
    found = figures(100.0, turns, rows)
    assert found["actd.100.sent_p999_us"] == pytest.approx(7400.0)
    assert found["actd.100.sent_p999_over_us"] == pytest.approx(300.0)
    assert found["actd.100.sent_p50_over_us"] == pytest.approx(300.0)
    assert found["actd.100.work_p99_us"] == pytest.approx(400.0)
    assert found["actd.100.infer_over"] == pytest.approx(0.1)
    assert found["actd.100.infer_over_bare"] == pytest.approx(55 / 52 - 1)
    assert "actd.100.ratio" not in found


def test_a_turn_has_what_began_in_it() -> None:
    of = ticks([0.0] * 5, [0] * 5)
    assert inside(of, (20 * MS, 40 * MS))["seq"].tolist() == [2, 3]


def test_what_a_frame_waits_beyond_inference_and_one_period() -> None:
    chunk = np.dtype(
        [("number", "<i8"), ("t_observation_ns", "<i8"), ("started_ns", "<i8"), ("infer_ns", "<i8")]
    )
    chunks = np.array(
        [
            (1, 100 * MS, 102 * MS, 80 * MS),  # ready at 182, used at 200
            (2, 200 * MS, 201 * MS, 90 * MS),  # ready at 291, used at 300
            (3, 300 * MS, 301 * MS, 500 * MS),  # not ready within the turn
        ],
        chunk,
    )
    ticks = np.zeros(10, [("newest_chunk", "<i8"), ("wake_ns", "<i8")])
    ticks["wake_ns"] = np.arange(100, 300, 20)[:10] * MS
    ticks["newest_chunk"] = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    more = np.zeros(1, ticks.dtype)
    more["newest_chunk"], more["wake_ns"] = 2, 300 * MS
    over_ms = frame_over_ms(chunks, np.concatenate([ticks, more]), [(0, 400 * MS)], 20 * MS)
    assert over_ms.tolist() == [0.0, -10.0]


def test_a_process_is_found_by_its_words_and_asked_for_its_processor_time(tmp_path: Path) -> None:
    code = "import time; end=time.monotonic()+600\nwhile time.monotonic() < end: pass"
    process = stage.Process([sys.executable, "-c", code], tmp_path / "log")
    try:
        deadline_s = time.monotonic() + 30
        while stage.cpu_s(process.pid) < 0.2:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert process.find("()+600") == process.pid
        with pytest.raises(SystemExit, match="log has no process 'actd"):
            process.find("actd.runtime.control_loop")
    finally:
        process.end()


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
    processes = [psutil.Process(int((tmp_path / "log").read_text()))]
    processes.append(processes[0].parent())
    process.pause()
    while any(member.status() != psutil.STATUS_STOPPED for member in processes):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    process.end()
    assert psutil.wait_procs(processes, timeout=10)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "number"), [("inference", signal.SIGINT), ("none", signal.SIGTERM)]
)
def test_all_loops_run_and_an_interrupted_bench_leaves_nothing(
    tmp_path: Path, load: str, number: int
) -> None:
    command = [sys.executable, "-m", "bench.tick", "--hz", "50", "--seconds", "2", "--load", load]
    command += ["--json", "--out", str(tmp_path / "tick.json")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout)
    loops = ["actd", "bare", "lerobot-sleep", "lerobot-thread", "uvloop"]
    assert [found["loop"] for found in result["rows"]] == loops
    for found in result["rows"]:
        assert found["n"] > 0
        assert 0 < found["cpu"] < 8
        # Of the same ticks; those whose message was lost have no arrival.
        assert 0 <= found["wake"]["p50_us"] <= found["sent"]["p50_us"]
        assert found["arrival"]["p50_us"] > 0
    inferring = ["actd", "bare", "engine"] if load == "inference" else []
    assert [found["loop"] for found in result["chunks"]] == inferring
    assert "actd.50.sent_p999_over_us" in result["metrics"]
    assert result["load"] == load
    assert result == json.loads((tmp_path / "tick.json").read_text())

    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=env) as bench:
        processes: list[psutil.Process] = []
        while len(processes) < 5 and bench.poll() is None:  # the daemon is up, and its arm
            time.sleep(0.05)
            processes = psutil.Process(bench.pid).children(recursive=True)
        os.kill(bench.pid, number)
        bench.wait(60)
    assert processes
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    assert not list(tmp_path.glob("bench-tick-*"))
