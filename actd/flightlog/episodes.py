"""The scored episodes of a run: `episodes.jsonl` beside its segments, one event a line.

A line names the tick at which something happened, so that it can be found in the recording;
ticks themselves hold nothing of it, and a replay does not depend on it. The file is small and stays
when older segments are removed. A line is on the disk when `append` returns; one that a power cut
left in parts is cut off by the next writer and not read.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actd.codec import decode, encode
from actd.errors import RecordingError
from actd.files import parse_json, read_text

EPISODES_FILE = "episodes.jsonl"
Kind = Literal["start", "driven", "halted", "success", "failure", "discard"]
KINDS: tuple[Kind, ...] = ("start", "driven", "halted", "success", "failure", "discard")
SCORES: tuple[Kind, ...] = ("success", "failure", "discard")


@dataclass(frozen=True, slots=True)
class EpisodeEvent:
    """Something that happened to an episode; `number` counts those of the run, from 1.

    `driven`: the policy drives from here on; `halted`: it no longer does, in `mode`; the others are
    orders. `tick` is the newest one then, `t_ns` a time of the ticks' clock, `unix_s` for people.
    `place` is what the operator called where the task's things lie ("": nothing).
    """

    number: int
    episode: int
    kind: Kind
    tick: int
    t_ns: int
    unix_s: float
    mode: str
    place: str

    @property
    def title(self) -> str:
        """The episode in words: `episode 3 at place 7`."""
        return f"episode {self.episode}" + (f" at place {self.place}" if self.place else "")


@dataclass(frozen=True, slots=True)
class Episode:
    """One attempt. `score` "" was never given: it is open, or the daemon ended before.

    `driven_ns` and `end_ns`: from when to when the policy drove, None where it has not, or still
    does; an episode that halted ended then, however late it was scored. `mode` is the one that it
    halted in, "" for one that did not.
    """

    number: int
    place: str
    start: EpisodeEvent
    driven_ns: int | None
    end_ns: int | None
    mode: str
    score: str

    @property
    def seconds(self) -> float | None:
        """How long the policy drove; None where it has not, or still does."""
        if self.driven_ns is None or self.end_ns is None:
            return None
        # An order's time may be a little after that of the tick that ends what it began.
        return max(0, self.end_ns - self.driven_ns) / 1e9


def episodes_of(events: Iterable[EpisodeEvent]) -> tuple[Episode, ...]:
    """The episodes that these events, in order, are about."""
    of_episode: dict[int, dict[str, EpisodeEvent]] = {}
    for event in events:
        kind = "score" if event.kind in SCORES else event.kind
        of_episode.setdefault(event.episode, {}).setdefault(kind, event)
    return tuple([_episode(**parts) for parts in of_episode.values() if "start" in parts])


def _episode(
    start: EpisodeEvent,
    driven: EpisodeEvent | None = None,
    halted: EpisodeEvent | None = None,
    score: EpisodeEvent | None = None,
) -> Episode:
    end = halted or score
    return Episode(
        number=start.episode,
        place=start.place,
        start=start,
        driven_ns=driven.t_ns if driven else None,
        end_ns=end.t_ns if end else None,
        mode=halted.mode if halted else "",
        score=score.kind if score else "",
    )


def read_events(run: Path) -> tuple[EpisodeEvent, ...]:
    """The events of a run, none where nothing was scored. Raises RecordingError."""
    events, damage = read_intact_events(run)
    if damage:
        raise RecordingError(damage[0])
    return events


def read_intact_events(run: Path) -> tuple[tuple[EpisodeEvent, ...], tuple[str, ...]]:
    """The events of a run whose lines can be read, and what is wrong with each of the others.

    Raises RecordingError.
    """
    path = run / EPISODES_FILE
    try:
        text = read_text(path)
    except FileNotFoundError:
        return (), ()
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}; copy the recording again") from None
    return _parse(path, text.split("\n")[:-1])


def _parse(path: Path, lines: Sequence[str]) -> tuple[tuple[EpisodeEvent, ...], tuple[str, ...]]:
    events, damage = [], []
    for number, line in enumerate(lines, 1):
        try:
            events.append(decode(EpisodeEvent, parse_json(line)))
        except ValueError as error:
            damage.append(
                f"{path}: line {number} is damaged ({error}); copy the recording again, or remove "
                "the line"
            )
    return tuple(events), tuple(damage)


class EpisodeLog:
    """Appends events to the file of one run. `last` is the number of the newest one in it."""

    def __init__(self, run: Path) -> None:
        self._path = run / EPISODES_FILE
        self.last = 0

    def begin(self) -> None:
        """Take over what an earlier process of this run wrote. Raises OSError, RecordingError."""
        events = read_events(self._path.parent)
        self.last = events[-1].number if events else 0

    def append(self, event: EpisodeEvent) -> None:
        """Write one event. Raises OSError, and leaves the others as they are, where that fails."""
        line = json.dumps(encode(event)).encode() + b"\n"
        fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            whole = os.pread(fd, os.fstat(fd).st_size, 0).rfind(b"\n") + 1
            os.ftruncate(fd, whole)
            if os.pwrite(fd, line, whole) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            os.fsync(fd)
        finally:
            os.close(fd)
        self.last = event.number
