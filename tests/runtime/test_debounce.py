from __future__ import annotations

from actd.runtime.debounce import Debounce


def test_it_begins_and_ends_after_its_patience_once_each() -> None:
    outage = Debounce(begin_ns=3, end_ns=5)
    turns = [(t, outage.lasts) for t in range(30) if outage.look(10 <= t < 18, t)]
    assert turns == [(13, True), (23, False)]


def test_a_flicker_is_no_outage() -> None:
    outage = Debounce(begin_ns=3, end_ns=3)
    assert not any(outage.look(t % 3 == 0, t) for t in range(100))
