"""Engines side by side: bench."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from actd.cli.app import app
from actd.cli.checkpoint import with_overrides
from actd.cli.shared import DEFAULT_CONFIG, AsJson, OptionalPath, names, show
from actd.errors import ActdError, UsageError
from actd.policy.overrides import Overrides

if TYPE_CHECKING:
    from actd.evaluation.speed import BenchReport

# typer reads annotations at run time, on 3.10 too, hence Optional.
OptionalText = Optional[str]  # noqa: UP045

_UNITS_S = {"h": 3600, "m": 60, "s": 1}
_CERTIFIED_S = (20, 86400)


@app.command()
@with_overrides
def bench(
    folders: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(help="Engine folders; default: engines of a default-size untrained ACT."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="Engines, runtimes or recipe.yaml files, by comma; or all."),
    ] = "all",
    checkpoint: Annotated[
        OptionalText, typer.Option(help="Build from this checkpoint: folder, .ckpt or hub id.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs of each engine.")] = 50,
    warmup: Annotated[
        int, typer.Option(min=0, help="Runs of each engine before, not counted.")
    ] = 3,
    rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Time at this many inferences a second, not back to back."),
    ] = None,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="CPU threads; default: all cores."),
    ] = None,
    report: Annotated[
        OptionalPath, typer.Option(help="Write a page with latency histograms to this .html.")
    ] = None,
    certify: Annotated[
        OptionalText,
        typer.Option(
            metavar="TIME",
            help="Not engines: is every control tick of a deployment on time? Runs its daemon for "
            "so long (1h, 10m, 90s), half of it on a busy computer; ENGINE is then an actd.yaml. "
            "The arm is simulated, and yours is not moved.",
        ),
    ] = None,
    as_json: AsJson = False,
    *,
    overrides: Overrides,
) -> None:
    """Time engines side by side and show their error against torch."""
    if certify is not None:
        if (engine, checkpoint, rounds, warmup, rate, threads) != ("all", None, 50, 3, None, None):
            raise UsageError("--certify: takes only a deployment file, --report and --json")
        raise typer.Exit(_certify(certify, folders or [], report, as_json=as_json))
    if overrides.options() and checkpoint is None:
        raise UsageError(f"{overrides.options()[0]}: describes a checkpoint; give --checkpoint too")
    _check_rate(rate)
    _check_folders(folders or [])
    _check_page(report)
    from actd.evaluation.benchmark import BenchRequest, TimingSettings, run_benchmark
    from actd.evaluation.engine_cache import CheckpointSource

    source = None if checkpoint is None else CheckpointSource(checkpoint, overrides)
    result = run_benchmark(
        BenchRequest(names(engine), folders or [], source, threads),
        TimingSettings(rounds, warmup, rate),
        lambda line: typer.echo(line, err=True),
    )
    if as_json:
        from actd.report.record import plain

        typer.echo(json.dumps(plain(result.to_dict()), allow_nan=False))
    else:
        from actd.evaluation.speed_table import tables

        show(tables(result))
    if report is not None:
        _write_page(result, report)
    if not as_json:
        typer.echo("next: actd init ENGINE, then actd run actd.yaml")
    raise typer.Exit(result.exit_code)


def _certify(time: str, files: list[Path], page: Path | None, *, as_json: bool) -> int:
    """Measure, show and write a certificate; the exit code."""
    seconds = _seconds(time)
    if len(files) > 1:
        raise UsageError(f"--certify: takes one deployment file, {len(files)} are given")
    from actd.config import load

    config = load((files or [DEFAULT_CONFIG])[0].resolve())
    _check_page(page)
    from actd.doctor import certificate_table
    from actd.doctor.certify import certify

    certificate = certify(config, seconds, lambda line: typer.echo(line, err=True))
    if as_json:
        from actd.report.record import plain

        typer.echo(json.dumps(plain(certificate.to_dict()), allow_nan=False))
    else:
        show(certificate_table.table(certificate))
        typer.echo(certificate_table.verdict(certificate))
    if page is not None:
        from actd.doctor.certificate_page import certificate_page
        from actd.report.page import PAGE_FILE

        PAGE_FILE.write(certificate_page(certificate), page, "--report")
        typer.echo(f"page: {page}", err=True)
    return 0 if certificate.passed else 1


def _seconds(text: str) -> float:
    """A length of time such as 1h, 10m, 90s. Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hms])", text.strip())
    seconds = float(match[1]) * _UNITS_S[match[2]] if match else 0.0
    if not _CERTIFIED_S[0] <= seconds <= _CERTIFIED_S[1]:
        raise UsageError(f"--certify: found {text!r}; give a time from 20s to 24h, such as 1h")
    return seconds


def _check_rate(rate: float | None) -> None:
    if rate is not None and not 0 < rate <= 1000:
        raise UsageError(f"--rate: {rate:g}; give inferences a second, above 0 and at most 1000")


def _check_folders(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_file():
            raise UsageError(
                f"{folder}: a file; give engine folders, or --certify with a deployment file"
            )
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; give engine folders, or none")


def _check_page(path: Path | None) -> None:
    """What would stop the page is said before minutes of timing, not after."""
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--report: {path}; give a file in a folder that exists")
    try:
        import actd.evaluation.speed_page  # noqa: F401
        from actd.report.page import PAGE_FILE
    except ImportError as error:
        raise ActdError(f"--report needs {error.name}; pip install 'actd[report]'") from None
    PAGE_FILE.check_place(path, "--report")


def _write_page(result: BenchReport, path: Path) -> None:
    from actd.evaluation.speed_page import bench_page
    from actd.report.page import PAGE_FILE

    PAGE_FILE.write(bench_page(result), path, "--report")
    typer.echo(f"page: {path}", err=True)
