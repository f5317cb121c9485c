"""When an episode is open, driven and scored: every order and mode in any order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.errors import RecordingError
from actd.flightlog.episodes import SCORES, episodes_of
from actd.mode import Mode
from actd.runtime.episodes import DRIVEN_MODES, Episodes, Moment

ORDERS = ("start", *SCORES)


def moment(number: int) -> Moment:
    return Moment(number, number * 1_000_000_000, 100.0 + number)


@given(st.lists(st.sampled_from([*Mode, *ORDERS]), max_size=40))
def test_whatever_comes_an_episode_has_one_start_and_one_score(steps: list[Mode | str]) -> None:
    episodes = Episodes()
    events = []
    open_since, drove, halted, led = None, False, False, False
    mode = Mode.IDLE
    for number, step in enumerate(steps, 1):
        if isinstance(step, Mode):
            mode = step
            events += episodes.enter(step, moment(number))
            halted |= open_since is not None and drove and mode not in DRIVEN_MODES
        elif step == "start":
            if open_since is None:
                events += episodes.start("", moment(number))
                open_since, drove, halted, led = number, False, False, False
            else:
                with pytest.raises(RecordingError, match="is open; score it first"):
                    episodes.start("", moment(number))
        elif open_since is None:
            with pytest.raises(RecordingError, match="no episode is open"):
                episodes.score(step, moment(number))
        elif step != "discard" and not drove:
            with pytest.raises(RecordingError, match="has not driven in it yet"):
                episodes.score(step, moment(number))
        elif step == "success" and led:
            with pytest.raises(RecordingError, match="no success of the policy"):
                episodes.score(step, moment(number))
        else:
            events += episodes.score(step, moment(number))
            open_since = None
        led |= open_since is not None and mode is Mode.TAKEOVER
        drove |= open_since is not None and mode is Mode.ARMED
        assert (episodes.open is not None) == (open_since is not None)
        if episodes.open is not None:
            assert (episodes.open.driven_ns is not None) == drove
            assert (episodes.open.mode != "") == halted
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    known = episodes_of(events)
    assert [episode.number for episode in known] == list(range(1, len(known) + 1))
    status = episodes.status(10**12)
    scored = [episode.score for episode in known if episode.score]
    assert sum(status[kind] for kind in SCORES) == len(scored)
    attempts = status["success"] + status["failure"]
    assert (status["interval"] is None) == (attempts == 0)
    for episode in known:
        assert (episode.seconds or 0) >= 0


@pytest.mark.parametrize("place", ["a b", "x" * 33, "é", 7, None, "a/b", "a\n"])
def test_a_place_is_a_short_name(place: object) -> None:
    with pytest.raises(RecordingError, match=r"place: found .*, expected at most 32 letters"):
        Episodes().start(place, moment(1))
