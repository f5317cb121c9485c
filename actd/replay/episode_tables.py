"""Scored episodes as tables of text, and those for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Group
from rich.table import Table

from actd.proportions import wilson
from actd.replay.episodes import Comparison, Score, Scores

_SCORE_HEADER = ("", "succeeded", "95 % interval", "time, s", "left out")
_PAIR_HEADER = ("", "pairs", "both", "only first", "only second", "neither", "p")
_NO_PLACE = "no places in common: give `actd episode start --place NAME`"


def terminal_tables(scores: Scores) -> Group:
    """Both tables for the terminal."""
    tables = []
    for title, header, rows in parts(scores):
        table = Table(title=title, title_justify="left")
        for heading in header:
            table.add_column(heading, justify="right" if heading else "left")
        for row in rows:
            table.add_row(*row)
        tables.append(table)
    return Group(*tables)


def parts(scores: Scores) -> list[tuple[str, Sequence[str], list[tuple[str, ...]]]]:
    """Title, header and rows of each table: how each engine does, and how each two compare."""
    rows = [_score_row(scores, score) for score in scores.scores]
    pairs = [_pair_row(scores, comparison) for comparison in scores.comparisons]
    robots = ", ".join(sorted({score.condition.robot for score in scores.scores}))
    tables = [
        (f"Scored episodes of {robots}", _SCORE_HEADER, rows),
        ("At the same places", _PAIR_HEADER, pairs),
    ]
    return [table for table in tables if table[2]]


def _score_row(scores: Scores, score: Score) -> tuple[str, ...]:
    rate, interval, times = "-", "-", "-"
    if score.attempts:
        low, high = wilson(score.successes, score.attempts)
        rate = f"{score.successes} of {score.attempts} ({score.successes / score.attempts:.0%})"
        interval = f"{100 * low:.1f}–{100 * high:.1f} %"
    seconds = score.success_s
    if seconds:
        times = f"{median(seconds):.1f} ({seconds[0]:.1f}–{seconds[-1]:.1f})"
    left_out = str(score.discarded + score.unscored)
    return (scores.label(score.condition), rate, interval, times, left_out)


def _pair_row(scores: Scores, each: Comparison) -> tuple[str, ...]:
    name = f"{scores.label(each.first)} / {scores.label(each.second)}"
    counts = (each.pairs, each.both, each.only_first, each.only_second, each.neither)
    if not each.pairs:
        return (name, "0", *["-"] * 4, _NO_PLACE)
    return (name, *map(str, counts), f"{each.p:.3g}")
