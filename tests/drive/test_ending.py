"""The way out: what a signal breaks into, and when."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from actd.drive.ending import CutShort, Ending


@pytest.fixture
def ending() -> Iterator[Ending]:
    """One that drives: its first signal may wait."""
    ending = Ending()
    before = signal.getsignal(signal.SIGINT)
    with ending.watched():
        ending.begin()
        yield ending
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def hang(seconds: float) -> float:
    """A driver that does not return so soon; after how many seconds it was broken into."""
    began = time.monotonic()
    with pytest.raises(CutShort) as cut:
        time.sleep(seconds)
    assert str(cut.value) in {"SIGINT", "the driver did not return within 3 s"}
    return time.monotonic() - began


def test_before_it_drives_the_first_signal_ends_it_at_once() -> None:
    ending = Ending()
    with ending.watched():
        with pytest.raises(CutShort, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
        # A driver may have caught that.
        with pytest.raises(CutShort, match="SIGTERM"):
            ending.begin()


def test_a_signal_as_it_leaves_is_no_alarm_later(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = Ending()
    restore = signal.signal

    def late(number: int, handler: Any) -> Any:
        if number == signal.SIGTERM and handler == before:
            signal.raise_signal(signal.SIGTERM)
        return restore(number, handler)

    before, alarm = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with ending.watched():
        ending.begin()
        ending.leave()
        monkeypatch.setattr(signal, "signal", late)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is alarm


def test_a_step_after_the_one_that_was_broken_into_has_an_alarm_too(ending: Ending) -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    hang(2)
    assert 2 < hang(6) < 5


def test_the_first_signal_only_asks(ending: Ending) -> None:
    ending.alive()
    signal.raise_signal(signal.SIGINT)
    assert ending.requested == "SIGINT"
    ending.alive()


def test_a_second_one_is_raised_between_two_cycles(ending: Ending) -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    time.sleep(0.1)  # a packet
    with pytest.raises(CutShort, match="SIGTERM"):
        ending.alive()


def test_a_second_one_breaks_into_a_driver_that_does_not_return(ending: Ending) -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    assert 0.3 < hang(2) < 1.5


def test_signal_after_signal_does_not_put_that_off(ending: Ending) -> None:
    signal.raise_signal(signal.SIGINT)
    began = time.monotonic()

    def press() -> None:
        while time.monotonic() - began < 3:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)

    with pytest.raises(CutShort):
        press()
    assert time.monotonic() - began < 1.5


def test_a_step_that_must_be_has_its_time_again(ending: Ending) -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    ending.leave()
    time.sleep(0.8)
    ending.alive()


def test_a_way_out_that_nobody_asked_for_does_not_hang_either(ending: Ending) -> None:
    ending.leave()
    assert ending.requested == "end"
    assert 2 < hang(6) < 5
