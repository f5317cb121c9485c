"""The dataset recorder of scored episodes: one after the other, until asked to end.

Records from the first armed tick after an operator's `episode start`, until the score or the end
of motion, and keeps the episode as the score says: a success or a failure becomes one of the
dataset's; what is discarded, or has no score when the daemon ends, does not. An episode that cannot
be whole ends the recording: a success without its end would teach the wrong thing.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any

from actd.datasets.writer import DatasetWriter
from actd.errors import RecordingError
from actd.flightlog.episodes import KINDS, SCORES, Kind
from actd.mode import Mode
from actd.runtime.channels import open_channels
from actd.runtime.clock import now_ns
from actd.runtime.dataset_recorder import (
    DatasetRecorderSettings,
    End,
    EpisodeEncoder,
    Recorder,
    in_words,
    tell,
)
from actd.runtime.dataset_rows import Sampler
from actd.runtime.shm import Ring

_WAIT_S = 0.002
_CLOSED = "no episode is open: actd episode start"
_OPEN = "nothing is commanded yet: arm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRecorderSettings(DatasetRecorderSettings):
    """As of one recording; its `form` is scored."""


def run(settings: ScoredRecorderSettings) -> None:
    """Record episodes until SIGTERM."""
    end = End()
    signal.signal(signal.SIGTERM, end.ask)
    channels = open_channels(settings.shapes, settings.fds)
    try:
        with DatasetWriter(settings.path, settings.form) as writer:
            cues = Cues(channels.episodes)
            tell(state="waiting", why=_CLOSED, notes=writer.notes)
            sampler = Sampler(channels, settings.cameras, settings.period_ns)
            ScoredRecorder(writer, sampler, settings.task, end, cues).run()
    except OSError as error:
        raise RecordingError(in_words(settings.path, error)) from None


class Cues:
    """What operators said since this was made, of the newest episode.

    `began_ns`: when it was opened, None where none is; `score` and `scored_ns` once it has one.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._seen = ring.newest
        self.began_ns: int | None = None
        self.score: Kind | None = None
        self.scored_ns = 0

    def look(self) -> None:
        """Take in what is new."""
        for number, event in self._ring.since(self._seen):
            self._seen = number
            kind = KINDS[event["kind"]]
            if kind == "start":
                self.began_ns, self.score = int(event["t_ns"]), None
            elif kind in SCORES:
                self.began_ns, self.score, self.scored_ns = None, kind, int(event["t_ns"])


class ScoredRecorder(Recorder):
    """Carries rows from the sampler to the dataset, episode by episode."""

    def __init__(
        self, writer: DatasetWriter, sampler: Sampler, task: str, end: End, cues: Cues
    ) -> None:
        super().__init__(writer, sampler, task, None, end)
        self._cues = cues

    def run(self) -> None:
        """Record every episode that is opened."""
        saved: dict[str, Any] = {"episodes": 0}
        while (start_ns := self._wait()) is not None:
            self._counts = dict.fromkeys(self._counts, 0)
            index = self._record(start_ns)
            if index is not None:
                saved = {"episodes": saved["episodes"] + 1, "episode": index}
            tell(state="waiting", why=_CLOSED, frames=0, **saved)
        tell(state="saved" if saved["episodes"] else "empty", why="asked to end", frames=0, **saved)

    def _wait(self) -> int | None:
        """When the policy began to drive in an open episode; None when asked to end before."""
        was_open = False
        while not self._end.asked:
            time.sleep(_WAIT_S)
            self._cues.look()
            began_ns = self._cues.began_ns
            if (began_ns is not None) != was_open:
                was_open = began_ns is not None
                tell(state="waiting", why=_OPEN if was_open else _CLOSED)
            tick = self._sampler.tick(now_ns())
            driven = tick is not None and tick["mode"] in (Mode.ARMED, Mode.TAKEOVER)
            if began_ns is not None and tick is not None and driven:
                return max(began_ns, int(tick["due_ns"]))
        return None

    def _record(self, start_ns: int) -> int | None:
        """Record one episode; its number in the dataset, None where it is not kept."""
        episode = self._writer.begin(self._task)
        with EpisodeEncoder(episode) as encoder:
            why = self._sample(start_ns, encoder)
            score = self._wait_for_score(why)
            tell(state="saving", why=score or why, **self._counts)
        if score not in ("success", "failure") or not self._counts["frames"]:
            episode.discard()
            return None
        return episode.save(success=score == "success")

    def _wait_for_score(self, why: str) -> Kind | None:
        """The score; None when asked to end before."""
        if self._cues.score is None and not self._end.asked:
            tell(state="unscored", why=f"{why}: actd episode success, failure or discard")
        while self._cues.score is None and not self._end.asked:
            time.sleep(_WAIT_S)
            self._cues.look()
        return self._cues.score

    def _reason_to_end(self, tick: Any, t_ns: int) -> str:
        self._cues.look()
        if self._cues.score is not None and t_ns > self._cues.scored_ns:
            return self._cues.score
        cut_off = "" if self._end.asked else self._cut_off(tick, t_ns)
        if cut_off:
            raise RecordingError(
                f"{self._writer.root}: {cut_off}: this episode was dropped, the finished ones are "
                "whole; mend that, then actd record again"
            )
        return super()._reason_to_end(tick, t_ns)
