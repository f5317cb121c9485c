"""The staleness table: what may be used, and the words when it may not."""

from __future__ import annotations

import pytest

from actd.control.staleness import (
    MaxAge,
    camera_diagnostic,
    camera_diagnostics,
    diagnostic,
    is_frozen,
    is_stale,
)

LIMITS = MaxAge(camera_ns=500_000_000, frozen_ns=1_000_000_000)


def test_a_stream_is_stale_past_its_limit_and_before_its_first_value() -> None:
    assert is_stale(None, 100)
    assert is_stale(101, 100)
    assert not is_stale(100, 100)


def test_a_camera_is_frozen_past_its_limit_and_never_with_the_limit_off() -> None:
    assert is_frozen(101, 100)
    assert not is_frozen(100, 100)
    assert not is_frozen(10**18, 0)


@pytest.mark.parametrize(
    ("age_ns", "unchanged_ns", "words"),
    [
        (30_000_000, 30_000_000, None),
        (None, 0, "camera top has not delivered anything yet"),
        (600_000_000, 600_000_000, "camera top is 600 ms old (limit 500 ms)"),
        (
            30_000_000,
            1_200_000_000,
            "camera top has shown the same image for 1200 ms (limit 1000 ms)",
        ),
    ],
)
def test_a_camera_that_may_not_be_used_is_named_with_its_reason(
    age_ns: int | None, unchanged_ns: int, words: str | None
) -> None:
    assert camera_diagnostic("top", age_ns, unchanged_ns, LIMITS) == words


def test_every_bad_camera_is_named() -> None:
    ages, unchanged = {"a": 10**9, "b": 0, "c": 0}, {"a": 0, "b": 2 * 10**9, "c": 0}
    sentences = camera_diagnostics(ages, unchanged, LIMITS)
    assert [sentence.split()[1] for sentence in sentences] == ["a", "b"]


def test_a_complaint_gives_age_and_limit() -> None:
    assert diagnostic("robot state", 300_000_000, 200_000_000) == (
        "robot state is 300 ms old (limit 200 ms)"
    )
