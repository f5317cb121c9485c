"""Pairing against the plainest possible search, and the cases that robots meet."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actd.control.synchronization import ANY_SKEW_NS, Pairing, Times, pair

MS = 1_000_000


def times(*t_ns: int, first: int = 1) -> Times:
    return Times(np.arange(first, first + len(t_ns)), np.array(t_ns, dtype=np.int64))


def every(period: int, until: int, phase: int = 0, n: int = 7) -> Times:
    """The last `n` times of a steady stream."""
    steps = [phase + k * period for k in range(until // period + 1) if phase + k * period <= until]
    return times(*steps[-n:], first=max(1, len(steps) - n + 1))


def newest_moment_by_search(frames: list[Times], states: Times, limit: int) -> set[int]:
    """The moments of all sets of parts that fit, by trying every set there is."""
    fitting = set()
    for parts in itertools.product(*(stream.t_ns.tolist() for stream in (*frames, states))):
        if max(parts) - min(parts) <= limit:
            fitting.add(max(parts[:-1]) if frames else parts[-1])
    return fitting


streams = st.lists(st.integers(0, 60), min_size=1, max_size=5, unique=True).map(
    lambda t: times(*sorted(t))
)


@given(st.lists(streams, max_size=3), streams, st.integers(0, 40))
def test_it_is_the_newest_moment_that_any_set_gives(
    frames: list[Times], states: Times, limit: int
) -> None:
    found = pair(frames, states, limit)
    fitting = newest_moment_by_search(frames, states, limit)
    assert (found.t_ns if found else None) == max(fitting, default=None)
    if found is None:
        return
    assert found.skew_ns <= limit
    for stream, number, t_ns in zip((*frames, states), found.numbers, found.times_ns, strict=True):
        assert stream.t_ns[stream.numbers.tolist().index(number)] == t_ns
    assert found.t_ns == max(found.times_ns[:-1] if frames else found.times_ns)


@given(st.lists(streams, min_size=1, max_size=3), streams, st.integers(0, 40))
def test_every_camera_gives_its_newest_and_no_usable_state_is_nearer(
    frames: list[Times], states: Times, limit: int
) -> None:
    found = pair(frames, states, limit)
    if found is None:
        return
    *of_frames, of_state = found.times_ns
    for stream, t_ns in zip(frames, of_frames, strict=True):
        assert t_ns == max(t for t in stream.t_ns if t <= found.t_ns)
    nearer = [t for t in states.t_ns if abs(t - found.t_ns) < abs(of_state - found.t_ns)]
    for t in nearer:
        assert max(t, found.t_ns) - min(*of_frames, t, found.t_ns) > limit


@given(
    st.integers(0, 33 * MS),
    st.integers(0, 20 * MS),
    st.integers(500 * MS, 600 * MS),
)
def test_unsynchronised_cameras_of_30_fps_are_taken_as_they_come(
    phase: int, state_phase: int, now: int
) -> None:
    high, low = every(33 * MS, now), every(33 * MS, now, phase)
    states = every(20 * MS, now, state_phase, n=1000)
    found = pair([high, low], states, 50 * MS)
    assert found is not None
    assert found.times_ns[:2] == (high.t_ns[-1], low.t_ns[-1])
    assert found.t_ns == max(high.t_ns[-1], low.t_ns[-1])


def test_a_camera_that_comes_late_gets_the_frames_of_its_time() -> None:
    high = times(0, 33, 66, 100, 133, 166, 200)
    low = times(0, 33, 66)  # 133 behind
    states = times(*range(0, 210, 10))
    assert pair([high, low], states, 20) == Pairing(66, (3, 3, 8), (66, 66, 70))


def test_what_lags_is_told_apart_from_what_is_new() -> None:
    found = pair([times(100), times(40)], times(95), ANY_SKEW_NS)
    assert found is not None
    assert (found.oldest, found.newest, found.skew_ns) == (1, 0, 60)


def test_a_stream_without_records_gives_nothing() -> None:
    assert pair([times(1), times()], times(1), ANY_SKEW_NS) is None
    assert pair([times(1)], times(), ANY_SKEW_NS) is None
    assert pair([], times(), ANY_SKEW_NS) is None
