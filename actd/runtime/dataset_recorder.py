"""The dataset recorder: one episode of a LeRobotDataset, while the daemon runs.

Reads frames, states and ticks (shared memory) at the dataset's fps and writes rows of what
a tick saw and sent, from the first one that policy or leader drove until it is asked to end, the
daemon no longer drives, or the disk is nearly full. It is never in the path of a command. Images
are encoded by a thread of their own; where that cannot keep up, older images come again
and are counted. Where the disk fails, this episode is lost and every finished one is whole.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import queue
import shutil
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actd.datasets.schema import Form
from actd.datasets.writer import DatasetWriter, Episode
from actd.errors import RecordingError
from actd.mode import Mode
from actd.runtime import process_entry
from actd.runtime.channels import open_channels
from actd.runtime.clock import now_ns, sleep_until_ns
from actd.runtime.dataset_rows import Row, Sampler
from actd.runtime.episodes import DRIVEN_MODES

# A tick is written down a little after it is due, and one that is late later still.
_SETTLE_NS = 2_000_000
_LATE_TICK_NS = 50_000_000
_SILENCE_NS = 1_000_000_000
_REPORT_NS = 1_000_000_000
_WAIT_S = 0.002
_BACKLOG_BYTES = 256 << 20
_DISK_RESERVE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecorderSettings(process_entry.ProcessSettings):
    """`path` is the dataset's folder. `cameras`: name -> feature key. `frames_max` None: no end."""

    path: Path
    task: str
    form: Form
    frames_max: int | None
    cameras: Mapping[str, str]
    period_ns: int


def run(settings: DatasetRecorderSettings) -> None:
    """Record one episode."""
    end = End()
    signal.signal(signal.SIGTERM, end.ask)
    channels = open_channels(settings.shapes, settings.fds)
    try:
        with DatasetWriter(settings.path, settings.form) as writer:
            tell(state="waiting", why="nothing is commanded yet: arm", notes=writer.notes)
            sampler = Sampler(channels, settings.cameras, settings.period_ns)
            Recorder(writer, sampler, settings.task, settings.frames_max, end).run()
    except OSError as error:
        raise RecordingError(in_words(settings.path, error)) from None


class End:
    """Whether SIGTERM came. An Event would not do: setting one while waiting for it locks up."""

    asked = False

    def ask(self, *_: object) -> None:
        """Signal handler."""
        self.asked = True


class Recorder:
    """Carries rows from the sampler to the dataset."""

    def __init__(
        self,
        writer: DatasetWriter,
        sampler: Sampler,
        task: str,
        frames_max: int | None,
        end: End,
    ) -> None:
        self._writer = writer
        self._sampler = sampler
        self._task = task
        self._frames_max = frames_max
        self._end = end
        self._counts = {"frames": 0, "late": 0, "repeated": 0}
        pixels = sum(height * width for height, width in writer.form.cameras.values())
        self._backlog_max = max(4, _BACKLOG_BYTES // max(1, 3 * pixels))

    def run(self) -> None:
        """Wait for motion, record it, save it."""
        start_ns = self._wait()
        if start_ns is None:
            tell(state="empty", why="nothing was recorded: the daemon was never armed")
            return
        episode = self._writer.begin(self._task)
        with EpisodeEncoder(episode) as encoder:
            why = self._sample(start_ns, encoder)
            tell(state="saving", why=why, **self._counts)
        if not self._counts["frames"]:
            episode.discard()
            tell(state="empty", why=f"nothing was recorded: {why}")
            return
        episode.save()
        tell(state="saved", why=why, episode=episode.index, **self._counts)

    def _wait(self) -> int | None:
        """When the first armed tick was due; None when asked to end before."""
        while not self._end.asked:
            time.sleep(_WAIT_S)
            tick = self._sampler.tick(now_ns())
            if tick is not None and tick["mode"] in (Mode.ARMED, Mode.TAKEOVER):
                return int(tick["due_ns"])
        return None

    def _sample(self, start_ns: int, encoder: EpisodeEncoder) -> str:
        """Hand rows to the encoder until there is a reason to end; returns it."""
        reported_ns = 0
        for number in itertools.count():
            t_ns = start_ns + number * 1_000_000_000 // self._writer.form.fps
            sleep_until_ns(t_ns + _SETTLE_NS)
            while not self._sampler.has_ticked(t_ns) and now_ns() < t_ns + _LATE_TICK_NS:
                time.sleep(_WAIT_S)
            if now_ns() - reported_ns > _REPORT_NS:
                reported_ns = now_ns()
                tell(state="recording", backlog=encoder.backlog, **self._counts)
            tick = self._sampler.tick(t_ns)
            why = self._reason_to_end(tick, t_ns)
            if why or tick is None:
                return why
            row = self._sampler.row(tick, new_images=encoder.backlog < self._backlog_max)
            encoder.put(row)
            self._counts["frames"] += 1
            self._counts["repeated"] += row.repeated
            self._counts["late"] += now_ns() - t_ns > 1e9 / self._writer.form.fps
        return ""

    def _reason_to_end(self, tick: Any, t_ns: int) -> str:
        frames = self._counts["frames"]
        if self._end.asked:
            return "asked to end"
        if frames == self._frames_max:
            return "as long as asked for"
        return self._cut_off(tick, t_ns) or _motion_ended(tick)

    def _cut_off(self, tick: Any, t_ns: int) -> str:
        """Why there can be no more rows, "" where there can."""
        if shutil.disk_usage(self._writer.root).free < _DISK_RESERVE_BYTES:
            return f"the disk is nearly full: less than {_DISK_RESERVE_BYTES >> 20} MB are free"
        if tick is None:
            return f"the recorder stood still for {(now_ns() - t_ns) / 1e9:.1f} s"
        if t_ns - int(tick["due_ns"]) > _SILENCE_NS:
            return "the tick process fell silent"
        return ""


class EpisodeEncoder:
    """Adds rows to an episode in a thread of its own, in order.

    A context: at its end every row is added; what is raised within, or by adding one, discards the
    episode.
    """

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="encoder")
        self._thread.start()

    def __enter__(self) -> EpisodeEncoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._rows.put(None)
        self._thread.join()
        if kind is not None or self._error is not None:
            self._episode.discard()
        if kind is None and self._error is not None:
            raise self._error

    @property
    def backlog(self) -> int:
        """Rows that wait."""
        return self._rows.qsize()

    def put(self, row: Row) -> None:
        """Queue one row. Raises what adding an earlier one raised."""
        if self._error is not None:
            raise self._error
        self._rows.put(row)

    def _run(self) -> None:
        while (row := self._rows.get()) is not None:
            if self._error is None:
                try:
                    self._episode.add(row.vectors, row.images)
                except (OSError, RecordingError) as error:
                    self._error = error


def _motion_ended(tick: Any) -> str:
    if tick["mode"] not in DRIVEN_MODES:
        return f"the daemon went to {Mode(int(tick['mode'])).name}"
    return ""


def tell(**condition: Any) -> None:
    """Report to the supervisor, if there still is one: an episode is saved without it too."""
    with contextlib.suppress(BrokenPipeError):
        process_entry.report(**condition)


def in_words(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path}: disk full: this episode was dropped, the finished ones are whole; "
            "free some space"
        )
    return f"{path}: cannot be written ({error.strerror}); choose another folder"
