"""An operator's `episode start`, `success`, `failure` and `discard`, in the daemon's first process.

They move nothing: the events go to the recorders through a ring, and only there onto the disk. An
episode begins only where its score will be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actd.errors import RecordingError
from actd.flightlog.episodes import KINDS, SCORES, EpisodeEvent
from actd.mode import Mode
from actd.runtime.channels import Channels
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.dataset_recording import Recording
from actd.runtime.episodes import Episodes, Moment
from actd.runtime.event_log import say
from actd.runtime.events import EPISODE, EPISODE_UNSCORED
from actd.runtime.process import ChildProcess


class EpisodeOrders:
    """Serves `episode`. `flight` None: nothing is recorded, and so nothing can be scored."""

    def __init__(
        self,
        episodes: Episodes,
        channels: Channels,
        flight: ChildProcess | None,
        recording: Recording,
    ) -> None:
        self._episodes = episodes
        self._channels = channels
        self._flight = flight
        self._recording = recording

    def enter(self, mode: Mode, tick: int, due_ns: int) -> None:
        """The mode changed at a tick."""
        self._publish(self._episodes.enter(mode, Moment(tick, due_ns, unix_s())))

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Serve `episode`: `do` is start, a score or status. Raises RecordingError to refuse."""
        do = str(request.get("do", "status"))
        score = next((kind for kind in SCORES if kind == do), None)
        moment = Moment(self._channels.ticks.newest, now_ns(), unix_s())
        if do == "start":
            self._publish(self._start(request.get("place", ""), moment))
        elif score is not None:
            self._publish(self._episodes.score(score, moment))
        elif do != "status":
            known = ", ".join(("start", *SCORES, "status"))
            raise RecordingError(f"do: found {do!r:.40}: known are {known}")
        return {"episodes": self.status(), "warnings": self._warnings()}

    def status(self) -> dict[str, Any]:
        """See `Episodes.status`."""
        return self._episodes.status(now_ns())

    def end(self) -> None:
        """The daemon ends: say so where an episode stays without a score."""
        if self._episodes.open is not None:
            number = self._episodes.open.number
            text = f"episode {number} was open: it has no score and does not count"
            say(EPISODE_UNSCORED, text, episode=number)

    def _start(self, place: object, moment: Moment) -> tuple[EpisodeEvent, ...]:
        if self._flight is None:
            raise RecordingError(
                "nothing would keep the score: flight.enabled is false; set it to true and start "
                "the daemon again"
            )
        failure = self._failure()
        if failure:
            raise RecordingError(f"nothing would keep the score: the flight recorder: {failure}")
        self._episodes.check_none_open()
        self._recording.check_ready_for_episode()
        return self._episodes.start(place, moment)

    def _failure(self) -> str:
        """Why the flight recorder cannot write, "" where it can."""
        condition = self._flight.condition if self._flight is not None else {}
        failed = condition.get("state") == "failed"
        return str(condition.get("why") or "it failed") if failed else ""

    def _warnings(self) -> list[str]:
        failure, missed = self._failure(), self._recording.scored_failure
        return [
            *([f"the score is not on disk yet: {failure}"] if failure else []),
            *([f"not in the dataset: {missed}"] if missed else []),
        ]

    def _publish(self, events: tuple[EpisodeEvent, ...]) -> None:
        for event in events:
            self._channels.episodes.write(
                (
                    event.episode,
                    KINDS.index(event.kind),
                    Mode[event.mode],
                    event.tick,
                    event.t_ns,
                    event.unix_s,
                    event.place.encode(),
                )
            )
            text = f"{event.title}: {event.kind} (tick {event.tick})"
            say(EPISODE, text, episode=event.episode, tick=event.tick)
