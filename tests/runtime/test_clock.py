"""The schedule skips and counts, and the sleep never ends early."""

from __future__ import annotations

import signal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from actd.runtime.clock import now_ns, sleep_until_ns, unix_s
from actd.runtime.schedule import Schedule, period_of


@given(
    period=st.integers(1_000_000, 100_000_000),
    start=st.integers(0, 2**50),
    work=st.lists(st.integers(0, 500_000_000), max_size=50),
)
def test_ticks_stay_on_the_grid_never_burst_and_lose_nothing_uncounted(
    period: int, start: int, work: list[int]
) -> None:
    schedule = Schedule(period, start)
    now = start
    for busy in work:
        waited_for = schedule.due_ns
        now = max(now, waited_for)
        late_ns = schedule.arrive(now)
        assert late_ns == now - waited_for
        assert (schedule.due_ns - start) % period == 0
        # The slot that is run is the nearest one, so the next is never closer than half a period.
        assert abs(now - schedule.due_ns) <= period / 2
        schedule.advance()
        now += busy
    assert schedule.due_ns == start + (len(work) + schedule.missed) * period


@given(
    rate_hz=st.floats(10, 1000),
    start=st.integers(0, 2**50),
    steps=st.lists(st.integers(0, 50_000_000), max_size=50),
)
def test_a_period_that_is_not_whole_never_drifts(
    rate_hz: float, start: int, steps: list[int]
) -> None:
    period = period_of(rate_hz)
    schedule = Schedule(period, start)
    now = start
    for step in steps:
        now = max(now, schedule.due_ns) + step
        schedule.arrive(now)
        exact = Fraction(schedule.due_ns - start) / period
        assert abs(exact - round(exact)) * period <= Fraction(1, 2)
        assert abs(now - schedule.due_ns) <= period / 2 + 1
        schedule.advance()


def test_an_hour_at_30_hz_ends_where_it_should() -> None:
    schedule = Schedule(period_of(30), 0)
    for _ in range(30 * 3600):
        schedule.advance()
    assert schedule.due_ns == 3600 * 10**9
    assert schedule.arrive(3600 * 10**9 + 66_666_667) == 66_666_667
    assert schedule.missed == 2


def test_an_overrun_of_ten_periods_loses_them_once() -> None:
    schedule = Schedule(10, 0)
    assert schedule.arrive(4) == 4
    schedule.advance()
    assert schedule.arrive(114) == 104
    assert schedule.missed == 10
    assert schedule.due_ns == 110


def test_a_tick_late_by_nearly_a_period_does_not_run_twice_in_a_moment() -> None:
    schedule = Schedule(20_000_000, 0)
    schedule.arrive(0)
    schedule.advance()
    assert schedule.arrive(39_900_000) == 19_900_000
    assert (schedule.due_ns, schedule.missed) == (40_000_000, 1)
    schedule.advance()
    assert schedule.due_ns == 60_000_000


def test_sleep_never_ends_before_its_deadline() -> None:
    for delay_ns in (0, 1000, 1_000_000, 5_000_000):
        deadline = now_ns() + delay_ns
        sleep_until_ns(deadline)
        assert now_ns() >= deadline
    sleep_until_ns(0)


def test_a_signal_does_not_shorten_the_sleep() -> None:
    rang = []
    previous = signal.signal(signal.SIGALRM, lambda *_: rang.append(now_ns()))
    try:
        deadline = now_ns() + 60_000_000
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        sleep_until_ns(deadline)
        assert now_ns() >= deadline
        assert rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_unix_time_is_in_seconds() -> None:
    assert 1.7e9 < unix_s() < 1e10
