"""Scored episodes on a page: how engines compare, and every episode of one run."""

from __future__ import annotations

from collections.abc import Sequence

from actd.errors import SEPARATOR
from actd.flightlog.episodes import Episode
from actd.replay.episode_tables import parts
from actd.replay.episodes import Scores
from actd.report.page import PageSection, Table, page

_NOTE = (
    "Interval: Wilson's. Time: of successes, median (least to most), from the first armed tick to "
    "the score or the end of motion. Left out: discarded, or without a score. p: McNemar's exact "
    "test, two-sided, on episodes at the same places: how often chance alone would part two equal "
    "engines this much."
)
_EPISODE_HEADER = ("", "place", "score", "driven, s", "ended by", "tick of its start")


def episodes_page(scores: Scores) -> str:
    """A page of nothing else, as HTML text."""
    runs = "1 run" if scores.runs == 1 else f"{scores.runs} runs"
    left_out = f" Not counted: {SEPARATOR.join(scores.damage)}." if scores.damage else ""
    return page("actd episodes", f"Scored in {runs}.{left_out}", [episodes_section(scores)])


def episodes_section(scores: Scores, episodes: Sequence[Episode] = ()) -> PageSection:
    """How engines compare; the `episodes` of one run, one by one."""
    tables = [Table(rows, header=header, title=title) for title, header, rows in parts(scores)]
    if episodes:
        rows = [_row(episode) for episode in episodes]
        tables.append(Table(rows, header=_EPISODE_HEADER, title="One by one"))
    return PageSection("Episodes", tables, note=_NOTE)


def _row(episode: Episode) -> tuple[str, ...]:
    seconds = "-" if episode.seconds is None else f"{episode.seconds:.1f}"
    score = episode.score or "none"
    ended = episode.mode or ("the score" if episode.score else "the daemon's end")
    return (str(episode.number), episode.place, score, seconds, ended, str(episode.start.tick))
