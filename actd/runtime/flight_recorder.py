"""The flight recorder: every tick, chunk and scored episode onto the disk, while the daemon runs.

Reads their rings, writes one run's folder (actd.flightlog.writer). It is never
in the path of a command: when it is slow, killed or out of disk, ticks go on, and what the
rings no longer hold is a gap that readers see. A restarted recorder goes on after the last
record on disk. Asked to end, it stays until the tick process has fallen silent.
"""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from typing import Any

from actd.errors import RecordingError
from actd.flightlog.episodes import KINDS, EpisodeEvent, EpisodeLog
from actd.flightlog.writer import FlightLogWriter
from actd.mode import Mode
from actd.runtime import process_entry
from actd.runtime.channels import open_channels
from actd.runtime.clock import now_ns
from actd.runtime.shm import Ring

# Every look takes a processor from inference for a moment.
_DRAIN_S = 0.1
_RETRY_S = 1.0
_SILENCE_NS_MIN = 100_000_000
_SILENCE_PERIODS = 3
_LAST_NS_MAX = 1_800_000_000
_REPORT_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightRecorderSettings(process_entry.ProcessSettings):
    """`run` is the folder of this run, `run_info` what its run.json will hold; `max_bytes` bounds
    all runs beside it.
    """

    run: Path
    run_info: Mapping[str, Any]
    max_bytes: int
    period_ns: int


def run(settings: FlightRecorderSettings) -> None:
    """Record until asked to end and the last tick is on disk."""
    channels = open_channels(settings.shapes, settings.fds)
    log = FlightLogWriter(settings.run, settings.run_info, settings.max_bytes)
    rings = {"ticks": channels.ticks, "chunks": channels.chunks}
    Recorder(log, rings, channels.episodes, settings.period_ns).run()


class Recorder:
    """Carries records from the rings to the log."""

    def __init__(
        self, log: FlightLogWriter, rings: Mapping[str, Ring], episodes: Ring, period_ns: int
    ) -> None:
        self._log = log
        self._rings = rings
        self._episodes = episodes
        self._episode_log = EpisodeLog(log.run)
        self._silence_ns = max(_SILENCE_NS_MIN, _SILENCE_PERIODS * period_ns)
        self._asked_to_end = False
        self._condition: dict[str, Any] = {}
        self._reported_ns = 0
        self._lost = 0

    def run(self) -> None:
        """Record until SIGTERM, and then for as long as ticks still come."""
        signal.signal(signal.SIGTERM, self._ask_to_end)
        while not self._asked_to_end:
            time.sleep(_DRAIN_S if self._record() else _RETRY_S)
        # The tick process may be ramping to rest, which is what one will want to see.
        began_ns = heard_ns = now_ns()
        while now_ns() - heard_ns < self._silence_ns and now_ns() - began_ns < _LAST_NS_MAX:
            before = self._rings["ticks"].newest
            time.sleep(_DRAIN_S)
            self._record()
            if self._rings["ticks"].newest > before:
                heard_ns = now_ns()
        self._log.close()

    def _ask_to_end(self, *_: object) -> None:
        self._asked_to_end = True

    def _record(self) -> bool:
        """Write down what is new; False, and the reason reported, when that cannot be done."""
        try:
            self._log.begin()
            for stream, ring in self._rings.items():
                self._drain(stream, ring)
            if self._episodes.newest > self._episode_log.last:
                self._drain_episodes()
        except (OSError, RecordingError) as error:
            self._report(state="failed", why=self._in_words(error))
            return False
        self._report(state="recording", run=str(self._log.run), lost=self._lost)
        return True

    def _drain(self, stream: str, ring: Ring) -> None:
        for number, record in ring.since(self._log.last[stream]):
            missing = number - self._log.last[stream] - 1
            self._log.append(stream, number, record.tobytes())
            self._lost += missing

    def _drain_episodes(self) -> None:
        self._episode_log.begin()
        for number, record in self._episodes.since(self._episode_log.last):
            self._episode_log.append(
                EpisodeEvent(
                    number=number,
                    episode=int(record["episode"]),
                    kind=KINDS[record["kind"]],
                    tick=int(record["tick"]),
                    t_ns=int(record["t_ns"]),
                    unix_s=float(record["unix_s"]),
                    mode=Mode(int(record["mode"])).name,
                    place=bytes(record["place"]).decode(),
                )
            )

    def _report(self, **condition: Any) -> None:
        """Tell a change, a growing loss at most once a second."""
        same_state = condition["state"] == self._condition.get("state")
        recent = now_ns() - self._reported_ns < _REPORT_NS
        if condition != self._condition and not (same_state and recent):
            self._condition, self._reported_ns = condition, now_ns()
            process_entry.report(**condition)

    def _in_words(self, error: OSError | RecordingError) -> str:
        if isinstance(error, RecordingError):
            return str(error)
        folder = self._log.run.parent
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed = f"{self._log.segment_bytes / 1e6:.1f} MB needed for the next file"
            with suppress(OSError):  # the folder may be gone
                needed += f", {disk_usage(folder).free / 1e6:.1f} free"
            return f"disk full: {folder}: {needed}; free some space, or lower flight.max_mb"
        return f"{folder}: {error.strerror}; make it writable, or set flight.folder"
