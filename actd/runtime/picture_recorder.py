"""The picture recorder: the last seconds of every camera beside the flight log.

Reads the newest frames (shared memory) a few times a second, writes them as JPEG, and saves what
is there as a moment when an operator says so, three seconds after a FAULT, and when the daemon does
not end as it should. It is never in the path of a command or a frame: slow, killed or out of
disk, everything else goes on. Restarted, it goes on with the pictures that are there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.flightlog.pictures import Cause, Moment, PictureWriter
from actd.mode import Mode
from actd.runtime import process_entry
from actd.runtime.channels import Channels, notice_text, open_channels
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.shm import Record, Ring

_LOOK_S = 0.1
_RETRY_S = 1.0
_AFTER_FAULT_NS = 3_000_000_000
_END_NS = 1_500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRecorderSettings(process_entry.ProcessSettings):
    """`run` is the folder of this run; `last_ns` how much is there of each camera at `fps`;
    `max_bytes` bounds the pictures of all runs beside it.
    """

    run: Path
    last_ns: int
    fps: float
    max_bytes: int


def run(settings: PictureRecorderSettings) -> None:
    """Record until asked to end."""
    # Loads OpenCV, which the supervisor, who makes the settings, does not need.
    from actd.runtime.jpeg import encode

    Recorder(settings, open_channels(settings.shapes, settings.fds), encode).run()


class Recorder:
    """Carries pictures from the rings to the disk."""

    def __init__(
        self,
        settings: PictureRecorderSettings,
        channels: Channels,
        encode: Callable[[NDArray[np.uint8]], bytes],
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._encode = encode
        self._writer = PictureWriter(settings.run, settings.last_ns, settings.max_bytes)
        self._cameras = [
            _Camera(name, ring, settings.fps) for name, ring in channels.frames.items()
        ]
        self._ticks_seen = channels.ticks.newest
        self._orders_seen = channels.keeps.newest
        self._pending: Moment | None = None
        self._begun = False
        self._asked_to_end = False
        self._saved = 0
        self._newest = ""
        self._condition: Mapping[str, object] = {}

    def run(self) -> None:
        """Record until SIGTERM, and then until the tick process has come to its end."""
        signal.signal(signal.SIGTERM, self._ask_to_end)
        look_s = min(_LOOK_S, 0.5 / self._settings.fps)
        while not self._asked_to_end:
            time.sleep(look_s if self._look() else _RETRY_S)
        began_ns = now_ns()
        while not self._has_stopped() and now_ns() - began_ns < _END_NS:
            time.sleep(look_s)
            self._look()
        self._end()

    def _ask_to_end(self, *_: object) -> None:
        self._asked_to_end = True

    def _has_stopped(self) -> bool:
        latest = self._channels.ticks.latest()
        return latest is None or Mode(int(latest[1]["mode"])) is Mode.STOP

    def _look(self) -> bool:
        """Take in what is new; False, and the reason reported, when that cannot be done."""
        try:
            if not self._begun:
                self._writer.begin()
                self._begun = True
            for camera in self._cameras:
                frame = camera.due()
                if frame is not None:
                    jpeg = self._encode(frame["pixels"])
                    self._writer.add(camera.name, int(frame["t_capture_ns"]), jpeg)
            self._look_for_moments()
        except OSError as error:
            self._begun = False  # the folder may be gone
            self._report(state="failed", why=self._in_words(error))
            return False
        self._report(state="running")
        return True

    def _look_for_moments(self) -> None:
        fault = self._new_fault()
        self._pending = self._pending or fault
        orders = self._channels.keeps.newest
        if orders > self._orders_seen:
            self._save(self._moment("order", "an operator asked for it"))
            self._orders_seen = orders
        if self._pending is not None and now_ns() - self._pending.t_ns > _AFTER_FAULT_NS:
            self._save(self._pending)
            self._pending = None

    def _new_fault(self) -> Moment | None:
        """The first FAULT since the last look."""
        ticks = self._channels.ticks
        numbers, modes = ticks.history("mode")
        faults = (modes[1:] == Mode.FAULT) & (modes[:-1] != Mode.FAULT)
        new = numbers[1:][faults & (numbers[1:] > self._ticks_seen)].tolist()
        self._ticks_seen = max([self._ticks_seen, *numbers[-1:].tolist()])
        tick = ticks.read(new[0]) if new else None
        if tick is None:
            return None
        return Moment("fault", "", new[0], int(tick["sent_ns"]), unix_s())

    def _end(self) -> None:
        """Save what would be missed, remove what would not."""
        moment = self._pending
        if os.getppid() != self._settings.supervisor_pid:
            moment = self._moment("end", "the daemon's first process ended")
        elif moment is None and not self._has_stopped():
            moment = self._moment("end", "the tick process ended before it had come to rest")
        try:
            if moment is not None:
                self._save(moment)
            self._writer.clear()
        except OSError as error:
            self._report(state="failed", why=self._in_words(error))

    def _moment(self, cause: Cause, reason: str) -> Moment:
        return Moment(cause, reason, self._channels.ticks.newest, now_ns(), unix_s())

    def _save(self, moment: Moment) -> None:
        if moment.cause == "fault":
            moment = replace(moment, reason=self._reason_at(moment.t_ns))
        self._newest = str(self._writer.save(moment))
        self._saved += 1

    def _reason_at(self, t_ns: int) -> str:
        """What the tick process said of the mode at that time."""
        reason = ""
        for _, notice in self._channels.notices.since(0):
            if notice["t_ns"] <= t_ns and not notice["rejected"]:
                reason = notice_text(notice)
        return reason

    def _report(self, *, state: str, why: str = "") -> None:
        """Tell a change, if there still is somebody to tell."""
        condition = {
            "state": state,
            "why": why,
            "saved": self._saved,
            "newest": self._newest,
            "orders": self._orders_seen,
        }
        if condition != self._condition:
            self._condition = condition
            with contextlib.suppress(BrokenPipeError):
                process_entry.report(**condition)

    def _in_words(self, error: OSError) -> str:
        folder = self._settings.run.parent
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"disk full: {folder}; free some space, or lower keep.max_mb"
        return f"{folder}: {error.strerror}; make it writable, or set flight.folder"


class _Camera:
    """The frames of one camera, at most `fps` of them a second."""

    def __init__(self, name: str, ring: Ring, fps: float) -> None:
        self.name = name
        self._ring = ring
        self._interval_ns = round(1e9 / fps)
        self._number = ring.newest
        self._due_ns = 0

    def due(self) -> Record | None:
        """The frame that is due, None while there is none."""
        t_ns = self._ring.peek("t_capture_ns")
        if t_ns is None or t_ns < self._due_ns:
            return None
        latest = self._ring.latest(self._number)
        if latest is None:
            return None
        self._number, frame = latest
        # Frames do not come exactly when pictures are due; on average there are as many.
        earliest_ns = int(frame["t_capture_ns"]) - self._interval_ns
        self._due_ns = max(self._due_ns, earliest_ns) + self._interval_ns
        return frame
