"""A certificate: whose doing a late tick was, and a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.config import load
from actd.doctor import certificate_table, certify
from actd.doctor.certificate import Bare, Certificate, Evidence, Steal, is_excused, judge
from actd.doctor.certificate_page import certificate_page
from actd.doctor.certify import turns
from actd.errors import ActdError
from actd.mode import Mode
from actd.runtime.channels import chunk_dtype, tick_dtype

PERIOD_NS = 20_000_000
MS = 1_000_000
NOBODY = Bare(np.array([0]), np.array([0]))


def ticks(late_ms: dict[int, float], mode: Mode = Mode.ARMED) -> np.ndarray[Any, Any]:
    """A hundred of them, some late."""
    records = np.zeros(100, tick_dtype(1, 0))
    for number in range(100):
        late_ns = round(late_ms.get(number, 0.05) * MS)
        slot_ns = (number + 1) * PERIOD_NS
        records[number]["wake_ns"] = slot_ns + late_ns
        records[number]["late_ns"] = late_ns
        records[number]["sent_ns"] = slot_ns + late_ns + MS // 2
    records["mode"] = mode
    return records


def phase(
    late_ms: dict[int, float], bare: Bare = NOBODY, steals: tuple[Steal, ...] = ()
) -> Certificate:
    chunks = np.zeros(0, chunk_dtype(1, 1))
    evidence = Evidence(ticks(late_ms), chunks, bare, steals, PERIOD_NS)
    judged = judge("clean", [(0, 102 * PERIOD_NS)], evidence)
    return Certificate({"rate_hz": 50.0}, {"sched_fifo": "ok"}, (judged,))


def test_a_late_tick_that_nothing_explains_is_our_own() -> None:
    certificate = phase({40: 15.0})
    (judged,) = certificate.phases
    assert (judged.late, judged.own, certificate.passed) == (1, 1, False)
    assert judged.sent.max_ms == 15.5
    (late,) = judged.late_ticks
    assert (late.wake_ms, late.sent_ms, late.own) == (15.0, 15.5, True)
    words = certificate_table.verdict(certificate)
    assert words.startswith("NOT PASSED: 100 ticks at 50 Hz")
    assert "1 later than half a period, 1 of them by actd's own doing" in words


def test_a_stall_that_the_bare_loop_had_too_is_the_computers() -> None:
    stalled = Bare(np.array([40 * PERIOD_NS + PERIOD_NS // 2]), np.array([30 * MS]))
    certificate = phase({40: 15.0}, stalled)
    assert (certificate.phases[0].late, certificate.phases[0].own) == (1, 0)
    assert certificate.passed


def test_time_that_the_hypervisor_took_is_the_computers() -> None:
    taken = Steal(40 * PERIOD_NS, 45 * PERIOD_NS, 10 * MS)
    assert phase({40: 15.0}, steals=(taken,)).passed
    elsewhere = Steal(60 * PERIOD_NS, 65 * PERIOD_NS, 10 * MS)
    assert not phase({40: 15.0}, steals=(elsewhere,)).passed


def test_a_daemon_that_was_not_armed_is_not_certified() -> None:
    chunks = np.zeros(0, chunk_dtype(1, 1))
    evidence = Evidence(ticks({}, Mode.HOLD), chunks, NOBODY, (), PERIOD_NS)
    judged = judge("clean", [(0, 102 * PERIOD_NS)], evidence)
    certificate = Certificate({"rate_hz": 50.0}, {}, (judged,))
    assert not certificate.passed
    assert "armed for less than 90 %" in certificate_table.verdict(certificate)


def test_a_slot_missed_between_two_turns_is_not_counted() -> None:
    records = ticks({})
    records["missed"][50:] = 7
    evidence = Evidence(records, np.zeros(0, chunk_dtype(1, 1)), NOBODY, (), PERIOD_NS)
    windows = [(0, 51 * PERIOD_NS), (51 * PERIOD_NS, 102 * PERIOD_NS)]
    assert judge("clean", windows, evidence).missed == 0
    assert judge("clean", [(0, 102 * PERIOD_NS)], evidence).missed == 7


@given(
    begin=st.integers(0, 10**12),
    length=st.integers(1, 10**9),
    due=st.integers(0, 10**12),
    late=st.integers(0, 10**9),
)
def test_an_excuse_covers_most_of_what_it_explains(
    begin: int, length: int, due: int, late: int
) -> None:
    excused = is_excused(begin, begin + length, Bare(np.array([due]), np.array([late])), ())
    covered = min(begin + length, due + late) - max(begin, due)
    assert excused == (covered >= 0.5 * length)


@given(
    rate_hz=st.sampled_from([10.0, 50.0, 100.0, 250.0, 1000.0]),
    late=st.floats(0.5, 3),
    before=st.floats(0, 1),
    phase=st.floats(0, 1),
)
def test_no_stall_that_makes_a_tick_late_escapes_the_bare_loop(
    rate_hz: float, late: float, before: float, phase: float
) -> None:
    """At whatever moment between two of its wake-ups it begins."""
    period_ns, bare_ns = 1e9 / rate_hz, 1e9 / certify.bare_hz(rate_hz)
    slot_ns = 100 * period_ns
    begin_ns, end_ns = slot_ns - before * period_ns, slot_ns + late * period_ns
    due_ns = np.arange(phase * bare_ns, end_ns, bare_ns)
    late_ns = np.where(due_ns > begin_ns, end_ns - due_ns, 0)
    bare = Bare(due_ns.astype(np.int64), late_ns.astype(np.int64) + 1)
    assert is_excused(round(slot_ns), round(end_ns), bare, ())


@given(seconds=st.floats(20, 86400))
def test_phases_take_turns_and_fill_the_time(seconds: float) -> None:
    plan = turns(seconds)
    assert [name for name, _ in plan] == ["clean", "contended"] * (len(plan) // 2)
    assert sum(each for _, each in plan) == pytest.approx(seconds)
    assert all(each <= 90.1 for _, each in plan)


def test_the_page_says_what_the_terminal_says() -> None:
    certificate = phase({40: 15.0})
    html = certificate_page(certificate)
    assert "15.550" not in html
    assert "15.500" in html
    assert "actd&#39;s own doing" in html or "actd's own doing" in html


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--certify", "fast"], 2, "--certify: found 'fast'; give a time from 20s to 24h"),
        (["--certify", "5s"], 2, "--certify: found '5s'"),
        (["a.yaml", "b.yaml", "--certify", "1h"], 2, "takes one deployment file, 2 are given"),
        (["a.yaml", "--certify", "1h", "--rounds", "3"], 2, "takes only a deployment file"),
        (["missing.yaml", "--certify", "1h"], 78, "missing.yaml"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    done = _bench(arguments, tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_real_daemon_is_certified(config: Path, tmp_path: Path) -> None:
    done = _bench([str(config), "--certify", "20s", "--json", "--report", "c.html"], tmp_path)
    certificate = json.loads(done.stdout)
    assert [each["name"] for each in certificate["phases"]] == ["clean", "contended"]
    for each in certificate["phases"]:
        assert each["ticks"] + each["missed"] > 0.9 * each["seconds"] * 50
        assert each["bare"]["n"] > 0.9 * each["seconds"] * 50
        assert each["armed"] > 0.5
    assert done.returncode == (0 if certificate["passed"] else 1)
    assert (tmp_path / "c.html").stat().st_size > 2000
    assert not _processes_of(tmp_path)


@pytest.mark.slow
def test_what_is_waited_for_is_said(
    config: Path, lively: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("_READY_S", 8.0), ("_PATIENCE_S", 1.0)):
        monkeypatch.setattr(certify, name, seconds)
    config.write_text(config.read_text().replace(str(lively), "http://127.0.0.1:9/nobody"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    said: list[str] = []
    with pytest.raises(ActdError, match=r"the daemon cannot be armed: .*camera"):
        certify.certify(load(config), 20.0, said.append)
    assert any(line.startswith("waiting, 8 s at most: ") and "camera" in line for line in said)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(config: Path, tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "actd", "bench", str(config), "--certify", "1h"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_env(tmp_path))
    assert process.stderr is not None
    line = ""
    while "clean" not in line:
        line = process.stderr.readline()
        assert line, "ended"
    time.sleep(1)
    process.send_signal(number)
    assert process.wait(30) == 130
    assert "Traceback" not in process.stderr.read()
    assert not list(tmp_path.glob("actd-certify-*"))
    assert not _processes_of(tmp_path)


def _bench(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actd", "bench", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=_env(folder),
    )


def _env(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def _processes_of(folder: Path) -> list[psutil.Process]:
    """Whoever was started with this environment and still runs."""
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder):
                left.append(process)
    return left
