from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actd.drive.cycle_times import CycleTimes, percentiles
from actd.timing import percentiles as reference

MS = 1_000_000


def test_a_loop_of_known_periods() -> None:
    times = CycleTimes(20 * MS)
    for now_ms in (0, 20, 41, 60, 100):
        times.begin(now_ms * MS)
        times.read(3 * MS)
    times.wrote(MS)
    summary = times.summary()
    assert (summary["cycles"], summary["rate_hz"], summary["target_hz"]) == (5, 40.0, 50.0)
    assert summary["period_error_ms"] == {"p50": 1.0, "p99": 20.0, "p99.9": 20.0, "max": 20.0}
    assert summary["read_ms"]["p50"] == 3.0
    assert times.recent_hz == 40.0
    line = "40.0 of 50 Hz; p99: period error 20.0 ms, read 3.0 ms, write 1.0 ms"
    assert times.line() == line


def test_a_loop_that_never_ran() -> None:
    times = CycleTimes(20 * MS)
    assert times.recent_hz == 0.0
    assert times.summary()["period_error_ms"] == {}
    assert times.line() == "0.0 of 50 Hz; p99: "


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=3000))
def test_tails_are_those_of_all_other_figures(durations: list[int]) -> None:
    told, expected = percentiles(durations), reference(durations)
    assert told["p99"] == round(expected.p99_ms, 3)
    assert told["p99.9"] == round(expected.p999_ms, 3)
    assert told["max"] == round(expected.max_ms, 3)
