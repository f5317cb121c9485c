"""The harness of every benchmark: time, compare, hold against the bars, show, keep.

A benchmark gives candidates, or metrics that it measured itself; the exit status is 1 when a bar
is missed or its metric was not measured. Results are written as JSON with the machine they were
taken on, because a figure without its machine says nothing.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from actd.errors import ActdError
from actd.host import machine
from actd.timing import Percentiles, interleave, percentiles
from bench.bars import BARS, Bar

RESULTS = Path(__file__).parent / "results"

Rounds = Annotated[int, typer.Option(min=1, help="How often each is timed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Out = Annotated[Path | None, typer.Option(help="File for the JSON result.")]

_TIMINGS = ("p50_ms", "p99_ms", "p999_ms", "max_ms")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line of a benchmark said. `out` None means `bench/results/<name>.json`."""

    rounds: int
    as_json: bool = False
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar and what was found; `value` None means that the metric was not measured."""

    metric: str
    value: float | None
    op: str
    limit: float
    unit: str
    passed: bool
    why: str


def main(benchmark: Callable[[Options], int], *, rounds: int) -> None:
    """Run a benchmark with the command line that all of them share, and exit with its status."""

    def command(
        rounds: Rounds = rounds,
        as_json: AsJson = False,
        out: Out = None,
    ) -> None:
        exit_with(lambda: benchmark(Options(rounds, as_json, out)))

    typer.run(command)


def exit_with(benchmark: Callable[[], int]) -> NoReturn:
    """Exit with its status; an error is one line."""
    try:
        raise typer.Exit(benchmark())
    except ActdError as error:
        typer.echo(error, err=True)
        raise typer.Exit(error.exit_code) from None


def run(
    name: str,
    candidates: Mapping[str, Callable[[], object]],
    options: Options,
    *,
    reference: str,
    warmup: int = 3,
    metrics: Mapping[str, float] | None = None,
    bars: Mapping[str, Bar] | None = None,
) -> int:
    """Time candidates against `reference` in the same run; returns the exit status.

    Metrics are `<candidate>.p50_ms` and so on, `<candidate>.speedup` (the median over rounds of
    reference / candidate), and those given. `bars` None means the table's.
    """
    samples = interleave(candidates, rounds=options.rounds, warmup=warmup)
    timings = {candidate: percentiles(taken) for candidate, taken in samples.items()}
    measured = {
        f"{candidate}.{key}": value
        for candidate, taken in timings.items()
        for key, value in taken.to_dict().items()
    }
    for candidate, taken_ns in samples.items():
        measured[f"{candidate}.speedup"] = speedup(samples[reference], taken_ns)
    return report(name, measured | dict(metrics or {}), options, timings=timings, bars=bars)


def report(
    name: str,
    metrics: Mapping[str, float],
    options: Options,
    *,
    timings: Mapping[str, Percentiles] | None = None,
    bars: Mapping[str, Bar] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> int:
    """Hold metrics against the bars, write the result, show it; returns the exit status.

    `extra` goes into the result as it is.
    """
    verdicts = check(name, metrics, bars)
    result = {
        **(extra or {}),
        "name": name,
        "machine": machine(),
        "metrics": dict(metrics),
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    out = options.out or RESULTS / f"{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    if options.as_json:
        print(json.dumps(result))
    else:
        _show(name, metrics, timings or {}, verdicts, out)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def check(
    name: str, metrics: Mapping[str, float], bars: Mapping[str, Bar] | None = None
) -> list[Verdict]:
    """A verdict for every bar of the benchmark; a metric that is missing fails its bar."""
    table = BARS.get(name, {}) if bars is None else bars
    return [_verdict(metric, metrics.get(metric), bar) for metric, bar in table.items()]


def speedup(reference_ns: Sequence[int], candidate_ns: Sequence[int]) -> float:
    """How many times faster: the median over rounds, so that a slow moment counts for both."""
    pairs = zip(reference_ns, candidate_ns, strict=True)
    return statistics.median(reference / candidate for reference, candidate in pairs)


def _verdict(metric: str, value: float | None, bar: Bar) -> Verdict:
    passed = value is not None and bar.holds(value)
    return Verdict(metric, value, bar.op, bar.limit, bar.unit, passed, bar.why)


def _show(
    name: str,
    metrics: Mapping[str, float],
    timings: Mapping[str, Percentiles],
    verdicts: Sequence[Verdict],
    out: Path,
) -> None:
    console = Console()
    if timings:
        console.print(_timing_table(name, metrics, timings))
    else:
        for metric, value in metrics.items():
            console.print(f"{metric:32} {value:12.3f}", highlight=False)
    for verdict in verdicts:
        console.print(_sentence(verdict), highlight=False)
    console.print(f"written to {out}", highlight=False)


def _timing_table(
    name: str, metrics: Mapping[str, float], timings: Mapping[str, Percentiles]
) -> Table:
    table = Table("candidate", title=name)
    for column in (*_TIMINGS, "n", "speedup"):
        table.add_column(column, justify="right")
    for candidate, taken in timings.items():
        values: dict[str, Any] = taken.to_dict()
        cells = [f"{values[key]:.2f}" for key in _TIMINGS]
        table.add_row(candidate, *cells, str(taken.n), f"{metrics[f'{candidate}.speedup']:.2f}x")
    return table


def _sentence(verdict: Verdict) -> str:
    bar = f"{verdict.op} {verdict.limit:g} {verdict.unit}"
    if verdict.value is None:
        return f"[red]failed[/] {verdict.metric} was not measured; it must be {bar}"
    found = f"{verdict.metric} is {verdict.value:.4g} {verdict.unit}; it must be {bar}"
    if verdict.passed:
        return f"[green]passed[/] {found}"
    return f"[red]failed[/] {found}: {verdict.why}"
