"""How old messages are: exactly by one clock, never too young by two."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.link.age import MessageAge, boottime_ns, clock_id

US = 1_000
MS = 1_000_000
S = 1_000_000_000
PERIOD_NS = 20 * MS
MINE, OTHER = "this-clock", "other-clock"
# What docs/wire.md promises: the drift of 200 ppm over 20 s.
SLACK_NS = 4 * MS


class Sender:
    """Another computer: its clock reads 5 s when the receiver's reads `zero_ns`, and drifts."""

    def __init__(self, zero_ns: int = 10**12, ppm: int = 0) -> None:
        self.age = MessageAge(MINE)
        self._zero_ns = zero_ns
        self._ppm = ppm

    def send(self, at_ns: int, delay_ns: int) -> int | None:
        """The age of a message sent `at_ns` after the start that took `delay_ns`."""
        arrival_ns = self._zero_ns + at_ns + delay_ns
        return self.age.of(OTHER, 5 * S + at_ns + at_ns * self._ppm // 1_000_000, arrival_ns)


def test_this_computer_names_its_clock() -> None:
    assert len(clock_id()) == 16
    assert clock_id().isalnum()
    assert clock_id() == clock_id()
    before_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before_ns <= boottime_ns() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@given(sent_ns=st.integers(0, 2**62), age_ns=st.integers(0, 2**62))
def test_by_one_clock_any_age_is_exact(sent_ns: int, age_ns: int) -> None:
    """Also a first message's, and one from before a suspend: BOOTTIME goes on meanwhile."""
    assert MessageAge(MINE).of(MINE, sent_ns, sent_ns + age_ns) == age_ns


def test_by_one_clock_nothing_comes_from_the_future() -> None:
    age = MessageAge(MINE)
    assert age.of(MINE, 10 * S, 10 * S - 5 * MS) == 0  # two cores disagree a little
    assert age.of(MINE, 10 * S, 10 * S - 5 * MS - 1) is None


@pytest.mark.parametrize("clock", [OTHER, ""])
def test_without_a_common_clock_the_first_message_has_no_age(clock: str) -> None:
    age = MessageAge(MINE)
    assert age.of(clock, 10 * S, 99 * S) is None
    assert age.of(clock, 10 * S + PERIOD_NS, 99 * S + PERIOD_NS + 3 * MS) == 3 * MS
    age.forget()
    assert age.of(clock, 11 * S, 100 * S) is None


def test_two_unknown_clocks_are_not_one() -> None:
    assert MessageAge("").of("", 10 * S, 10 * S) is None


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_a_week_of_drift_changes_nothing(ppm: int) -> None:
    """Messages that are on time stay usable, and late ones are seen to be late."""
    sender, chance = Sender(ppm=ppm), random.Random(ppm)
    for second in range(0, 7 * 24 * 3600, 7):
        late_ns = chance.choice([50 * MS, 150 * MS, 2 * S])
        sender.send(second * S, chance.randrange(400 * US))
        late = sender.send(second * S + PERIOD_NS, late_ns)
        assert late is not None
        assert late_ns - SLACK_NS - 400 * US <= late <= late_ns + SLACK_NS
        on_time = sender.send(second * S + 2 * PERIOD_NS, chance.randrange(400 * US))
        assert on_time is not None
        assert on_time <= SLACK_NS + 400 * US


@pytest.mark.parametrize("ppm", [-200, 200])
def test_at_the_rate_of_a_tick_nearly_every_message_has_an_age(ppm: int) -> None:
    sender, chance = Sender(ppm=ppm), random.Random(ppm)
    ages = [sender.send(n * PERIOD_NS, chance.randrange(3 * MS)) for n in range(20_000)]
    assert all(age is not None and age <= 3 * MS + SLACK_NS for age in ages[200:])
    assert sum(age is None for age in ages) < 20


@given(
    ppm=st.integers(-200, 200),
    zero_ns=st.integers(-(10**18), 10**18),
    sent=st.lists(st.tuples(st.integers(1, 9000), st.integers(0, 3000)), max_size=60),
)
def test_no_message_looks_younger_than_the_best_of_the_last_seconds_allows(
    ppm: int, zero_ns: int, sent: list[tuple[int, int]]
) -> None:
    """Whatever the clocks say. `sent`: pause before and delay of each message, in ms."""
    sender = Sender(zero_ns, ppm)
    sender.send(0, 0)
    at_ms, before = 0, [(0, 0)]
    for pause_ms, delay_ms in sent:
        at_ms += pause_ms
        age_ns = sender.send(at_ms * MS, delay_ms * MS)
        if age_ns is not None:
            best_ms = min(delay for at, delay in before if at >= at_ms - 9_990)
            assert age_ns >= (delay_ms - best_ms) * MS - SLACK_NS
        before.append((at_ms, delay_ms))


@pytest.mark.parametrize("period_ns", [100 * MS, PERIOD_NS, MS])
def test_a_burst_that_waited_before_the_first_look_has_no_age(period_ns: int) -> None:
    sender = Sender()
    for n in range(200):
        waited_ns = 30 * S - n * (period_ns - 20 * US)
        assert sender.send(n * period_ns, waited_ns) is None
    # And then those that did not wait are soon dated.
    now_ns = 40 * S
    found = [sender.send(now_ns + n * period_ns, 0) for n in range(3)]
    assert found == [None, 0, 0]


@pytest.mark.parametrize("stopped_s", [1, 15, 25, 3600])
def test_a_receiver_that_was_stopped_sees_how_old_its_messages_are(stopped_s: int) -> None:
    sender = Sender()
    for n in range(100):
        sender.send(n * PERIOD_NS, 0)
    for n in range(100, 150):  # what the kernel kept for it
        assert sender.send(n * PERIOD_NS, stopped_s * S) == stopped_s * S
    again_ns = 150 * PERIOD_NS + stopped_s * S
    assert sender.send(again_ns, 0) in (0, None)
    assert sender.send(again_ns + PERIOD_NS, 0) == 0


@pytest.mark.parametrize("silent_s", [5, 15, 25, 3600])
def test_after_a_long_silence_the_sender_is_new(silent_s: int) -> None:
    """Also after its suspend, during which its BOOTTIME goes on."""
    sender = Sender()
    for n in range(100):
        sender.send(n * PERIOD_NS, 0)
    again_ns = 100 * PERIOD_NS + silent_s * S
    first = sender.send(again_ns, 0)
    assert first == (None if silent_s > 20 else 0)
    assert sender.send(again_ns + PERIOD_NS, 30 * MS) == 30 * MS


def test_a_clock_that_stood_still_is_believed_again_after_20_s() -> None:
    """A paused virtual machine: for a while everything it says looks as old as the pause."""
    sender, paused_ns = Sender(), 3600 * S
    for n in range(100):
        sender.send(n * PERIOD_NS, 0)
    later = [sender.send(n * PERIOD_NS, paused_ns) for n in range(100, 1200)]
    assert later[0] == paused_ns
    assert later[-1] == 0


def test_a_message_that_was_overtaken_is_as_old_as_it_is() -> None:
    sender = Sender()
    sender.send(0, 0)
    assert sender.send(12 * S, 0) == 0
    assert sender.send(9 * S, 3 * S) == 3 * S


def test_one_stamp_from_far_away_does_no_lasting_harm() -> None:
    age = MessageAge(MINE)
    age.of(OTHER, 10 * S, 50 * S)
    assert age.of(OTHER, 2**63, 50 * S) is None
    assert age.of(OTHER, 10 * S + PERIOD_NS, 50 * S + PERIOD_NS) is None
    assert age.of(OTHER, 10 * S + 2 * PERIOD_NS, 50 * S + 2 * PERIOD_NS) == 0
