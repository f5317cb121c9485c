from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd import timing


def test_rounds_interleave_and_rotate_who_goes_first() -> None:
    order: list[str] = []
    candidates: dict[str, Callable[[], object]] = {
        name: lambda name=name: order.append(name)  # type: ignore[misc]
        for name in "abc"
    }
    timing.interleave(candidates, rounds=3, warmup=0)
    assert "".join(order) == "abcbcacab"


def test_durations_are_the_clocks_and_warm_up_is_forgotten() -> None:
    now_ns = 0
    calls = count(1)

    def work() -> None:
        nonlocal now_ns
        now_ns += 10 * next(calls)

    taken = timing.interleave({"work": work}, rounds=3, warmup=2, clock=lambda: now_ns)
    assert taken == {"work": [30, 40, 50]}


def test_a_candidate_that_fails_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        timing.interleave({"bad": lambda: 1 // 0}, rounds=1, warmup=0)


def test_tails_of_a_known_set() -> None:
    found = timing.percentiles([n * 1_000_000 for n in range(1, 1001)])
    assert found.to_dict() == {
        "n": 1000,
        "mean_ms": 500.5,
        "p50_ms": 500.5,
        "p99_ms": 991.0,
        "p999_ms": 1000.0,
        "max_ms": 1000.0,
    }


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_tails_are_ordered_and_of_durations_that_happened(samples_ns: list[int]) -> None:
    found = timing.percentiles(samples_ns)
    happened = {ns / 1e6 for ns in samples_ns}
    assert found.p50_ms <= found.p99_ms <= found.p999_ms <= found.max_ms
    assert {found.p99_ms, found.p999_ms, found.max_ms} <= happened


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        timing.percentiles([])


def test_a_cadence_is_absolute_and_skips_what_it_misses() -> None:
    now_ns = 0
    begun: list[int] = []
    durations = iter([10, 250, 100, 101, 10])

    def sleep(seconds: float) -> None:
        nonlocal now_ns
        now_ns += round(seconds * 1e9)

    def work() -> None:
        nonlocal now_ns
        begun.append(now_ns)
        now_ns += next(durations)

    found = timing.pace(work, rate_hz=1e7, count=5, clock=lambda: now_ns, sleep=sleep)
    assert found.samples_ns == [10, 250, 100, 101, 10]
    # 250 ns at 200 spans the slots at 300 and 400; 100 ns is exactly a period and in time
    assert begun == [100, 200, 500, 600, 800]
    assert found.missed == 3
