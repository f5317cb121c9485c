"""Statistics of ticks and chunks: counted from records, cleared, and shown."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from actd.cli.status import render
from actd.control.limits import Flag
from actd.errors import LinkError, UsageError
from actd.link.messages import MAX_BYTES
from actd.mode import Mode
from actd.runtime.channels import chunk_dtype, tick_dtype
from actd.runtime.histogram import Histogram, write_hgrm
from actd.runtime.loop_timing import Cadence

PERIOD_NS = 20_000_000


def tick(number: int, *, late_ns: int = 50_000, missed: int = 0, flags: int = 0) -> np.void:
    record = np.zeros(1, tick_dtype(2, 1))[0]
    record["due_ns"] = 10**9 + number * PERIOD_NS
    record["wake_ns"] = record["due_ns"] + late_ns
    record["late_ns"] = late_ns
    record["sent_ns"] = record["wake_ns"] + 100_000
    record["mode"], record["flags"], record["missed"] = Mode.ARMED, flags, missed
    record["chunk_age_ns"] = 30_000_000
    return record


def test_a_second_of_ticks() -> None:
    cadence = Cadence(50)
    for number in range(51):
        flags = Flag.UNDERRUN | Flag.VELOCITY if number < 3 else 0
        cadence.tick(tick(number, missed=2, flags=int(flags)))
    control = cadence.control()
    assert control["rate_hz"] == pytest.approx(50)
    assert (control["ticks"], control["missed"], control["underruns"]) == (51, 2, 3)
    assert control["lateness_us"]["p50"] == pytest.approx(50, rel=0.01)
    assert control["work_us"]["max"] == pytest.approx(100, rel=0.01)
    assert control["mode_counts"] == {mode.name: 51 * (mode is Mode.ARMED) for mode in Mode}
    assert control["flags"] == {"UNDERRUN": 3, "VELOCITY": 3}

    cadence.clear()
    cadence.tick(tick(60, missed=3))
    assert cadence.control()["missed"] == 1
    assert cadence.control()["ticks"] == 1


def test_plans() -> None:
    cadence = Cadence(50)
    for number in range(11):
        record = np.zeros(1, chunk_dtype(4, 2))[0]
        record["infer_ns"], record["t_observation_ns"] = 8_000_000, 1 + number * 100_000_000
        cadence.chunk(record)
    inference = cadence.inference()
    assert inference["chunks"] == 11
    assert inference["rate_hz"] == pytest.approx(10)
    assert inference["ms"]["p99"] == pytest.approx(8, rel=0.01)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=300))
def test_tails_are_those_of_the_values_to_one_percent(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    percentiles = histogram.percentiles(1.0)
    ordered = sorted(values)
    assert percentiles["max"] == pytest.approx(ordered[-1], rel=1e-2, abs=1)
    assert percentiles["p50"] <= percentiles["p99"] <= percentiles["p999"] <= percentiles["max"]
    below = sum(value <= percentiles["p50"] * 1.01 + 1 for value in values)
    assert below * 2 >= len(values)


def test_what_is_out_of_range_is_clamped_not_lost() -> None:
    histogram = Histogram()
    for value in (-5, 0, 10**15):
        histogram.add(value)
    assert histogram.percentiles(1e9)["max"] == pytest.approx(60, rel=1e-2)


def decode(text: str) -> HdrHistogram:
    return HdrHistogram.decode(text.encode())


def test_histograms_are_those_of_any_hdr_tool_since_clear_and_since_start() -> None:
    cadence = Cadence(50)
    for number in range(100):
        cadence.tick(tick(number, late_ns=100_000))
    cadence.clear()
    for number in range(100, 110):
        cadence.tick(tick(number, late_ns=5_000_000))
    found = cadence.histograms()
    recent, whole = (decode(found[key]["lateness"]) for key in ("since_clear", "since_start"))
    assert (recent.get_total_count(), whole.get_total_count()) == (10, 110)
    assert whole.get_value_at_percentile(50) == pytest.approx(100_000, rel=0.01)
    assert recent.get_value_at_percentile(50) == pytest.approx(5_000_000, rel=0.01)
    assert decode(found["since_start"]["inference"]).get_total_count() == 0
    # Two robots' histograms add up.
    recent.add(whole)
    assert recent.get_total_count() == 120


def test_the_longest_encoding_fits_many_times_into_a_message() -> None:
    histogram = Histogram()
    value = 1.0
    while value < 6e10:
        for _ in range(3):
            histogram.add(int(value))
        value *= 1.003
    assert 8 * len(histogram.encode()) < MAX_BYTES / 1.5


def test_percentile_distributions_are_written_once(tmp_path: Path) -> None:
    cadence = Cadence(50)
    for number in range(1000):
        cadence.tick(tick(number, late_ns=1000 * (number + 1)))
    encoded = cadence.histograms()["since_clear"]
    files = write_hgrm(tmp_path / "new", encoded)
    assert sorted(file.name for file in files) == [
        "chunk_age.hgrm",
        "inference.hgrm",
        "lateness.hgrm",
        "work.hgrm",
    ]
    text = (tmp_path / "new" / "lateness.hgrm").read_text()
    assert text.split()[:4] == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert len(rows) > 20
    # The n-th tick was n us late.
    assert all(float(row[0]) == pytest.approx(int(row[2]), rel=0.01, abs=0.01) for row in rows)
    with pytest.raises(UsageError, match="choose another folder"):
        write_hgrm(tmp_path / "new", encoded)
    with pytest.raises(LinkError, match=r"histograms\.work"):
        write_hgrm(tmp_path / "bad", {"work": "no histogram"})


def test_the_status_table_shows_what_matters() -> None:
    cadence = Cadence(50)
    cadence.tick(tick(0))
    status = {
        "mode": "ARMED",
        "ready": True,
        "uptime_s": 5.0,
        "control": cadence.control(),
        "inference": {
            "engine": "ort-int8",
            "state": "running",
            "runtime": "ort-int8: verified with onnxruntime 1.20.1, running on 1.32.0",
            **cadence.inference(),
        },
        "cameras": {
            "top": {"state": "failed: gone", "fps": 0, "drops": 1, "age_ms": None, "restarts": 2}
        },
        "move": {"share": 0.25, "left_s": 1.5},
        "state_age_ms": 3.0,
        "acknowledged_ms": 12.0,
        "state_rejected": {"count": 3, "newest": "j0 missing"},
        "robot": "aloha",
        "reason": "",
        "unlike_training": [],
        "flight": "recording",
        "pictures": {"state": "off", "saved": 0, "newest": "", "orders": 0},
        "processes": {"tick": {"sched_fifo": "not granted: Operation not permitted"}},
    }
    stream = io.StringIO()
    Console(file=stream, width=160).print(render(status))
    text = stream.getvalue()
    for words in (
        "ARMED",
        "failed: gone",
        "not granted",
        "acknowledges",
        "j0 missing",
        "25% of the way, 1.5 s left",
        "aloha",
        "recording",
        "ort-int8",
        "verified with onnxruntime 1.20.1",
    ):
        assert words in text
