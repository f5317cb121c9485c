from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.cameras.health import Health

SLOT_NS = 20_000_000
FPS = 50.0


@given(
    present=st.lists(st.booleans(), min_size=2, max_size=200),
    jitter=st.lists(st.floats(-0.2, 0.2), min_size=202, max_size=202),
)
def test_drops_are_the_empty_slots_whatever_the_jitter(
    present: list[bool], jitter: list[float]
) -> None:
    slots = [True, *present, True]
    health = Health(FPS)
    for slot, here in enumerate(slots):
        if here:
            health.frame(10**12 + round((slot + jitter[slot]) * SLOT_NS))
    assert health.drops == slots.count(False)


@given(rate=st.floats(0.985, 4.0), frames=st.integers(2, 2000))
def test_a_steady_source_near_or_above_the_asked_rate_drops_nothing(
    rate: float, frames: int
) -> None:
    health = Health(FPS)
    for number in range(frames):
        health.frame(round(number * SLOT_NS / rate))
    assert health.drops == 0


def test_a_fast_source_that_stops_is_seen_to_drop() -> None:
    health = Health(FPS)
    for number in range(200):
        health.frame(number * SLOT_NS // 2)
    health.frame(199 * SLOT_NS // 2 + 10 * SLOT_NS)
    assert health.drops in {9, 10}


def test_half_the_asked_rate_drops_every_other_slot() -> None:
    health = Health(FPS)
    for number in range(51):
        health.frame(2 * number * SLOT_NS)
    assert health.drops == 50


@given(fps=st.floats(3.0, 240.0), frames=st.integers(20, 400))
def test_the_rate_of_a_steady_source(fps: float, frames: int) -> None:
    health = Health(None)
    last_ns = 0
    for number in range(frames):
        last_ns = round(number * 1e9 / fps)
        health.frame(last_ns)
    assert health.fps(last_ns) == pytest.approx(fps, rel=1e-3)
    assert health.drops == 0


@given(gaps=st.lists(st.integers(1, 5 * SLOT_NS), min_size=1, max_size=50), wait=st.integers(0))
def test_silence_only_lowers_the_rate_and_raises_the_age(gaps: list[int], wait: int) -> None:
    health = Health(FPS)
    now_ns = 0
    for gap in gaps:
        now_ns += gap
        health.frame(now_ns)
    assert health.fps(now_ns + wait) <= health.fps(now_ns)
    assert health.age_ns(now_ns + wait) == wait
    assert health.fps(now_ns + 2_000_000_001) == 0


def test_before_the_first_frame_nothing_is_claimed() -> None:
    health = Health(FPS)
    assert (health.fps(5), health.age_ns(5), health.drops) == (0.0, None, 0)


def test_a_frame_from_the_past_is_ignored() -> None:
    health = Health(FPS)
    for t_ns in (0, SLOT_NS, SLOT_NS, SLOT_NS // 2, 2 * SLOT_NS):
        health.frame(t_ns)
    assert health.drops == 0
    assert health.age_ns(2 * SLOT_NS) == 0
