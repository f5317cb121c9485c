"""A certificate in words and as a table: the terminal and the page say the same."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from actd.doctor.certificate import Certificate, Phase
from actd.report.formatting import duration
from actd.timing import Percentiles

HEADER = ("", "", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "n")
LATE = ("", "at s", "wake-up ms late", "sent ms late", "whose doing")
COUNTS = ("", "ticks", "missed", "late", "of these actd's", "stolen ms", "armed %", "seconds")


def verdict(certificate: Certificate) -> str:
    """One sentence."""
    own = sum(phase.own for phase in certificate.phases)
    late = sum(phase.late for phase in certificate.phases)
    ticks = sum(phase.ticks for phase in certificate.phases)
    worst_ms = max(phase.sent.max_ms for phase in certificate.phases)
    seconds = sum(phase.seconds for phase in certificate.phases)
    text = (
        f"{ticks} ticks at {certificate.facts['rate_hz']:g} Hz in {duration(seconds)}: "
        f"the worst command left {worst_ms:.2f} ms after its slot, {late} later than half a period"
    )
    if late:
        text += f", {own} of them by actd's own doing"
    idle = [phase.name for phase in certificate.phases if phase.armed <= 0.9]
    if idle:
        text += f"; armed for less than 90 % of the time ({', '.join(idle)})"
    return f"{'PASSED' if certificate.passed else 'NOT PASSED'}: {text}"


def latencies(phase: Phase) -> list[tuple[str, ...]]:
    """Rows of HEADER."""
    rows: list[tuple[str, Percentiles | None]] = [
        ("slot to wake-up", phase.wake),
        ("slot to socket", phase.sent),
        ("bare loop", phase.bare),
        ("inference", phase.infer),
    ]
    return [(phase.name, what, *_cells(figures)) for what, figures in rows if figures]


def late_ticks(phase: Phase) -> list[tuple[str, ...]]:
    """Rows of LATE."""
    return [
        (
            phase.name,
            f"{tick.at_s:.1f}",
            f"{tick.wake_ms:.2f}",
            f"{tick.sent_ms:.2f}",
            "actd's" if tick.own else "the computer's",
        )
        for tick in phase.late_ticks
    ]


def counts(phase: Phase) -> tuple[Any, ...]:
    """A row of COUNTS."""
    return (
        phase.name,
        phase.ticks,
        phase.missed,
        phase.late,
        phase.own,
        f"{phase.stolen_ms:.0f}",
        f"{100 * phase.armed:.1f}",
        f"{phase.seconds:.0f}",
    )


def table(certificate: Certificate) -> Table:
    """Both phases for the terminal."""
    shown = Table(*HEADER, box=None, padding=(0, 1))
    for phase in certificate.phases:
        for number, (_, *row) in enumerate(latencies(phase)):
            shown.add_row("" if number else phase.name, *row)
    return shown


def _cells(figures: Percentiles) -> tuple[str, ...]:
    times_ms = (figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.max_ms)
    return (*(f"{value:.3f}" for value in times_ms), str(figures.n))
