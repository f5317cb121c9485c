"""Scored episodes: when one is open, what the policy did in it, and how an operator scored it.

An episode is open from `start` to its score. Nobody but an operator scores: one whose motion ends
in FAULT, STOP or IDLE stays open, with that as its end, and one that is open when the daemon ends
has no score. Pure: times come from outside, events are returned.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from actd.errors import RecordingError
from actd.flightlog.episodes import SCORES, Episode, EpisodeEvent, Kind, episodes_of
from actd.mode import Mode
from actd.proportions import wilson
from actd.runtime.channels import PLACE_BYTES

DRIVEN_MODES = (Mode.ARMED, Mode.TAKEOVER, Mode.HOLD)
"""In which motion goes on, or may: HOLD bridges a short gap."""
_PLACE = re.compile(rf"[A-Za-z0-9_.-]{{0,{PLACE_BYTES}}}")


def checked_place(place: object) -> str:
    """What an operator calls a place. Raises RecordingError for what may not be its name."""
    if not isinstance(place, str) or not _PLACE.fullmatch(place):
        raise RecordingError(
            f"place: found {place!r:.60}, expected at most {PLACE_BYTES} letters, digits, "
            "'.', '_' or '-', such as 7"
        )
    return place


class Moment(NamedTuple):
    """The newest tick's number, a time of its clock, and the same for people."""

    tick: int
    t_ns: int
    unix_s: float


class Episodes:
    """The episodes of one run."""

    def __init__(self) -> None:
        self._scored: list[Episode] = []
        self._events: list[EpisodeEvent] = []  # of the open episode
        self._number = 0  # of the newest event
        self._mode = Mode.IDLE
        self._led = False  # by a human, in the open episode

    @property
    def open(self) -> Episode | None:
        """The episode that waits for its score."""
        return episodes_of(self._events)[0] if self._events else None

    def enter(self, mode: Mode, moment: Moment) -> tuple[EpisodeEvent, ...]:
        """The daemon went to `mode`."""
        self._mode = mode
        episode = self.open
        if episode is None:
            return ()
        self._led = self._led or mode is Mode.TAKEOVER
        if episode.driven_ns is None:
            return (self._event("driven", moment, episode.place),) if mode is Mode.ARMED else ()
        if episode.end_ns is None and mode not in DRIVEN_MODES:
            return (self._event("halted", moment, episode.place),)
        return ()

    def start(self, place: object, moment: Moment) -> tuple[EpisodeEvent, ...]:
        """Open the next episode. Raises RecordingError."""
        self.check_none_open()
        events = (self._event("start", moment, checked_place(place)),)
        self._led = False
        return events + self.enter(self._mode, moment)

    def check_none_open(self) -> None:
        """Raise RecordingError where an episode waits for its score."""
        episode = self.open
        if episode is not None:
            raise RecordingError(
                f"{episode.start.title} is open; score it first: "
                "`actd episode success`, `failure` or `discard`"
            )

    def score(self, kind: Kind, moment: Moment) -> tuple[EpisodeEvent, ...]:
        """Score the open episode: one of SCORES. Raises RecordingError."""
        episode = self.open
        if episode is None:
            raise RecordingError("no episode is open; begin one with `actd episode start`")
        if kind != "discard" and episode.driven_ns is None:
            raise RecordingError(
                f"{episode.start.title}: the policy has not driven in it yet; arm first, or "
                "`actd episode discard`"
            )
        if kind == "success" and self._led:
            raise RecordingError(
                f"{episode.start.title}: a leader arm led in it, so it is no success of the "
                "policy; `actd episode failure` keeps it, `discard` drops it"
            )
        event = self._event(kind, moment, episode.place)
        self._scored += episodes_of(self._events)
        self._events = []
        return (event,)

    def status(self, now_ns: int) -> dict[str, Any]:
        """What is open and how the run stands, as `actd status` gives it."""
        opened, scored = self.open, self._scored
        counts: dict[str, int] = {kind: sum(e.score == kind for e in scored) for kind in SCORES}
        attempts = counts["success"] + counts["failure"]
        return {
            "open": None if opened is None else _open(opened, now_ns),
            "last": None if not scored else _last(scored[-1]),
            **counts,
            "rate": counts["success"] / attempts if attempts else None,
            "interval": list(wilson(counts["success"], attempts)) if attempts else None,
        }

    def _event(self, kind: Kind, moment: Moment, place: str) -> EpisodeEvent:
        self._number += 1
        event = EpisodeEvent(
            number=self._number,
            episode=len(self._scored) + 1,
            kind=kind,
            tick=moment.tick,
            t_ns=moment.t_ns,
            unix_s=moment.unix_s,
            mode=self._mode.name,
            place=place,
        )
        self._events.append(event)
        return event


def _open(episode: Episode, now_ns: int) -> dict[str, Any]:
    until_ns = now_ns if episode.end_ns is None else episode.end_ns
    driven_ns = episode.driven_ns
    return {
        "episode": episode.number,
        "place": episode.place,
        "halted": episode.mode,
        "seconds": None if driven_ns is None else max(0, until_ns - driven_ns) / 1e9,
    }


def _last(episode: Episode) -> dict[str, Any]:
    return {
        "episode": episode.number,
        "place": episode.place,
        "score": episode.score,
        "seconds": episode.seconds,
    }
