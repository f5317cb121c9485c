"""What repeats is counted, never lost, and never floods."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actd.runtime.repetition import Repetition

S = 1_000_000_000
STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30 * S)), max_size=60)


def test_a_flapping_camera_is_said_three_times_a_minute_then_with_its_newest_and_a_count() -> None:
    log: Repetition[int] = Repetition()
    said = [log.take("failed", second, second * S) for second in range(50)]
    assert said == [0, 0, 0, *[None] * 47]
    assert log.due(59 * S) == []
    assert log.due(60 * S) == [(49, 46)]
    assert log.due(61 * S) == []
    assert log.take("failed", 62, 62 * S) == 0


def test_what_is_not_said_yet_is_said_at_the_end() -> None:
    log: Repetition[str] = Repetition()
    for number in range(5):
        log.take("failed", f"camera {number}", 0)
    assert log.due(0, whatever=True) == [("camera 4", 1)]
    assert log.due(0, whatever=True) == []


@given(STEPS)
def test_whatever_comes_each_is_said_or_counted_and_none_more_than_three_times_a_minute(
    steps: list[tuple[str, int]],
) -> None:
    log: Repetition[str] = Repetition()
    now_ns, said, told = 0, {"a": [0] * 0, "b": [0] * 0}, Counter[str]()
    for key, wait_ns in steps:
        now_ns += wait_ns
        for item, more in log.due(now_ns):
            said[item].append(now_ns)
            told[item] += 1 + more
        more_before = log.take(key, key, now_ns)
        if more_before is not None:
            said[key].append(now_ns)
            told[key] += 1 + more_before
    for item, more in log.due(now_ns, whatever=True):
        told[item] += 1 + more
    assert told == Counter(key for key, _ in steps)
    for times in said.values():
        assert all(later - first >= 60 * S for first, later in zip(times, times[3:], strict=False))


def test_it_does_not_grow_with_what_never_comes_again() -> None:
    log: Repetition[int] = Repetition()
    for number in range(5000):
        log.take(number, number, number * S)
    assert len(log._past) <= 1001
