"""When a received command expires, on one computer and between two."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actd.client.freshness import Freshness
from actd.link.messages import Action
from actd.mode import Mode

MS = 1_000_000
FIRST = Action(1, 0.0, 10**12, 100.0, Mode.ARMED, {"j": 0.0}, 1, 5.0, 1, 1.0, 1.0, 0)


def test_nothing_before_the_first_message() -> None:
    assert Freshness().current(10**12) is None


def test_a_command_lasts_its_ttl_and_no_longer() -> None:
    freshness = Freshness()
    freshness.accept(FIRST, 10**12)
    assert freshness.current(10**12 + 99 * MS) is FIRST
    assert freshness.current(10**12 + 100 * MS) is None


@given(offset_ns=st.integers(-(10**18), 10**18), delay_ms=st.integers(0, 300))
def test_a_delayed_message_is_worth_less_whatever_the_clocks_say(
    offset_ns: int, delay_ms: int
) -> None:
    """The two computers' clocks differ by any amount; only added delay counts."""
    freshness = Freshness()
    freshness.accept(FIRST, FIRST.t_mono_ns + offset_ns)
    late = replace(FIRST, seq=2, t_mono_ns=FIRST.t_mono_ns + 20 * MS)
    arrival_ns = late.t_mono_ns + offset_ns + delay_ms * MS
    freshness.accept(late, arrival_ns)
    left_ms = 100 - delay_ms
    assert (freshness.current(arrival_ns) is late) is (left_ms > 0)
    if left_ms > 0:
        assert freshness.current(arrival_ns + (left_ms - 1) * MS) is late
        assert freshness.current(arrival_ns + left_ms * MS) is None


def test_a_restarted_daemon_is_believed_at_once() -> None:
    freshness = Freshness()
    freshness.accept(replace(FIRST, seq=500), 10**12)
    # Another boot: its monotonic clock begins near zero.
    again = replace(FIRST, seq=1, t_mono_ns=5 * MS)
    freshness.accept(again, 10**12 + 10**9)
    assert freshness.current(10**12 + 10**9 + 50 * MS) is again
