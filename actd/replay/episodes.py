"""Scored episodes of several runs: how often each engine succeeds, and whether engines differ.

Robot, engine and chunk mode are those of the run's own run.json. Engines of one robot are compared
in pairs: the k-th episode of the one at a place with the k-th of the other at the same place.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from actd.control.chunks import ChunkSettings
from actd.errors import SEPARATOR, RecordingError
from actd.flightlog.episodes import EPISODES_FILE, Episode, episodes_of, read_intact_events
from actd.flightlog.reader import RUN_FILE, check_folder, read_settings, runs_in
from actd.proportions import mcnemar, wilson
from actd.runtime.run_info import RunInfo, described_run

_DIGEST = 6


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """What an episode was driven with; `digest` tells engines of one name apart."""

    robot: str
    engine: str
    mode: str
    digest: str


@dataclass(frozen=True, slots=True)
class Score:
    """The episodes under one condition. `success_s`: how long each success took, rising."""

    condition: Condition
    successes: int
    failures: int
    discarded: int
    unscored: int
    success_s: tuple[float, ...]

    @property
    def attempts(self) -> int:
        """What counts: successes and failures."""
        return self.successes + self.failures

    def to_dict(self) -> dict[str, Any]:
        """As JSON data; None where nothing counts."""
        seconds = self.success_s
        return {
            **asdict(self.condition),
            "successes": self.successes,
            "failures": self.failures,
            "discarded": self.discarded,
            "unscored": self.unscored,
            "rate": self.successes / self.attempts if self.attempts else None,
            "interval": wilson(self.successes, self.attempts) if self.attempts else None,
            "success_s": {"median": median(seconds), "min": seconds[0], "max": seconds[-1]}
            if seconds
            else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two conditions at the same places; `p` of McNemar's exact test, two-sided."""

    first: Condition
    second: Condition
    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def pairs(self) -> int:
        """Episodes of either that have a partner."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def p(self) -> float:
        """See `mcnemar`."""
        return mcnemar(self.only_first, self.only_second)


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything that was scored in `runs` runs, and in words what of them could not be read."""

    runs: int
    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    damage: tuple[str, ...]

    def label(self, condition: Condition) -> str:
        """The shortest words that name a condition among these."""
        alike = [score.condition for score in self.scores]
        same_name = [c for c in alike if (c.engine, c.mode) == (condition.engine, condition.mode)]
        digests = {c.digest for c in same_name if c.robot == condition.robot}
        robot = f"{condition.robot}: " if len({c.robot for c in alike}) > 1 else ""
        digest = f" ({condition.digest})" if len(digests) > 1 else ""
        return f"{robot}{condition.engine}, {condition.mode}{digest}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "runs": self.runs,
            "damage": list(self.damage),
            "engines": [score.to_dict() for score in self.scores],
            "comparisons": [
                {
                    "robot": each.first.robot,
                    "first": self.label(each.first),
                    "second": self.label(each.second),
                    "pairs": each.pairs,
                    "both": each.both,
                    "only_first": each.only_first,
                    "only_second": each.only_second,
                    "neither": each.neither,
                    "p": each.p if each.pairs else None,
                }
                for each in self.comparisons
            ],
        }


def read_scores(folders: Sequence[Path]) -> Scores:
    """The scores in these runs' folders, or in all runs of a folder of runs.

    A run, or a line, that cannot be read leaves the others as they are. Raises RecordingError
    where nothing was scored.
    """
    runs = {run.resolve(): run for folder in folders for run in _runs(folder)}
    attempts: list[tuple[Condition, Episode]] = []
    damage: list[str] = []
    unreadable = 0
    for run in runs.values():
        try:
            events, lines = read_intact_events(run)
            damage += lines
            if episodes := episodes_of(events):
                condition = _condition(described_run(read_settings(run), run), run)
                attempts += [(condition, episode) for episode in episodes]
        except RecordingError as error:
            damage.append(str(error))
            unreadable += 1
    if not attempts:
        raise RecordingError(
            SEPARATOR.join(damage)
            or f"{', '.join(map(str, folders))}: no scored episode; `actd episode start` opens one "
            "while the daemon runs"
        )
    return judge(attempts, len(runs) - unreadable, damage)


def judge(
    attempts: Sequence[tuple[Condition, Episode]], runs: int, damage: Sequence[str] = ()
) -> Scores:
    """Scores of episodes, whatever runs they are from."""
    in_time = sorted(attempts, key=lambda attempt: attempt[1].start.unix_s)
    of_condition: dict[Condition, list[Episode]] = defaultdict(list)
    for condition, episode in in_time:
        of_condition[condition].append(episode)
    conditions = sorted(of_condition)
    return Scores(
        runs=runs,
        scores=tuple([_score(each, of_condition[each]) for each in conditions]),
        comparisons=tuple(
            [
                _compare(first, second, of_condition)
                for first, second in combinations(conditions, 2)
                if first.robot == second.robot
            ]
        ),
        damage=tuple(damage),
    )


def _runs(folder: Path) -> Iterator[Path]:
    check_folder(folder)
    if (folder / RUN_FILE).is_file():
        yield folder
        return
    try:
        yield from runs_in(folder, EPISODES_FILE)
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be read: {error.strerror}") from None


def _condition(info: RunInfo, run: Path) -> Condition:
    try:
        name, files = str(info.engine["name"]), sorted(info.engine["sha256"].items())
    except (AttributeError, LookupError, TypeError):
        raise RecordingError(
            f"{run / RUN_FILE}: engine: damaged, name or sha256 is missing; copy the recording "
            "again, or leave this run out"
        ) from None
    return Condition(
        robot=info.tick.robot,
        engine=name,
        mode=_mode(info.control.chunk),
        digest=hashlib.sha256(repr(files).encode()).hexdigest()[:_DIGEST],
    )


def _mode(chunk: ChunkSettings) -> str:
    detail = {
        "temporal": f"temporal {chunk.temporal_coeff:g}",
        "queue": f"queue {chunk.n_action_steps}",
    }
    return detail.get(chunk.mode, chunk.mode)


def _score(condition: Condition, episodes: Sequence[Episode]) -> Score:
    counts = {kind: sum(e.score == kind for e in episodes) for kind in ("failure", "discard", "")}
    successes = [episode for episode in episodes if episode.score == "success"]
    return Score(
        condition=condition,
        successes=len(successes),
        failures=counts["failure"],
        discarded=counts["discard"],
        unscored=counts[""],
        success_s=tuple(sorted(e.seconds for e in successes if e.seconds is not None)),
    )


def _compare(
    first: Condition, second: Condition, of_condition: dict[Condition, list[Episode]]
) -> Comparison:
    a, b = (_by_place(of_condition[condition]) for condition in (first, second))
    pairs = [pair for place in a for pair in zip(a[place], b.get(place, ()), strict=False)]
    return Comparison(
        first,
        second,
        both=pairs.count((True, True)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )


def _by_place(episodes: Sequence[Episode]) -> dict[str, list[bool]]:
    """Place -> whether each episode there that counts was a success, in order of time."""
    places: dict[str, list[bool]] = defaultdict(list)
    for episode in episodes:
        if episode.place and episode.score in ("success", "failure"):
            places[episode.place].append(episode.score == "success")
    return places
