"""What was recorded: record, replay, report, mcap."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from actd.cli.app import app
from actd.cli.shared import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigOption,
    HostOption,
    OptionalPath,
    operator,
    show,
    warn,
)
from actd.errors import ActdError, LinkError, UsageError

# Of motion: with less, what fits it is no limit for a task.
_ENOUGH_NS = 10_000_000_000
_SAVE_S = 10.0

if TYPE_CHECKING:
    from actd.client import Operator
    from actd.replay.decisions import Progress


@app.command()
def record(
    out: Annotated[
        OptionalPath, typer.Option(help="Dataset folder, new or to be continued.")
    ] = None,
    task: Annotated[str, typer.Option(help="What the robot does, in words.")] = "",
    seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0.1, help="Length of the episode; default: until Ctrl-C."),
    ] = None,
    fps: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Rows per second; default: the policy's rate."),
    ] = None,
    scored: Annotated[
        bool,
        typer.Option(
            "--scored",
            help="Every episode of `actd episode start` becomes one of the dataset, with its "
            "score, until Ctrl-C.",
        ),
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the recording that is going on.")
    ] = False,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Record what the policy sees and does as one episode of a LeRobotDataset.

    The episode begins with the first armed tick.
    """
    from actd.cli.status import recording_in_words
    from actd.link.request import as_sent

    if not stop and (out is None or not task):
        raise UsageError("record: give --out DIR and --task 'what the robot does', or --stop")
    if scored and seconds is not None:
        raise UsageError("--seconds: with --scored an episode ends with its score; leave it out")
    with operator(config, host) as daemon:
        if stop:
            daemon.stop_recording()
        else:
            options = {"seconds": seconds, "fps": fps, "scored": scored or None}
            given = {name: value for name, value in options.items() if value is not None}
            daemon.record(str(Path(out or "").absolute()), task, **given)
        recording = _until_saved(daemon)
    if as_json:
        typer.echo(json.dumps(recording))
    with as_sent():
        for note in recording.get("notes", []):
            typer.echo(note, err=True)
        if recording["state"] != "saved":
            raise ActdError(str(recording.get("why")))
        if not as_json:
            count = recording.get("episodes")
            which = f"episode {recording['episode']}" if count is None else f"{count} episodes"
            typer.echo(f"{which}: {recording_in_words(recording)}")
            typer.echo(f"next: actd eval {recording['path']} --engine ENGINE_A,ENGINE_B")


def _until_saved(daemon: Operator) -> dict[str, Any]:
    """Show the recording as it goes on, end it at Ctrl-C, return how it ended."""
    from rich.console import Console

    from actd.cli.status import recording_in_words
    from actd.link.request import as_sent

    asked_to_end = False
    console, shown = Console(stderr=True), ""
    with console.status("recording") as line:
        while True:
            try:
                with as_sent():
                    recording: dict[str, Any] = daemon.request("record")["recording"]
                    if recording["state"] in ("saved", "empty", "failed"):
                        return recording
                    line.update(recording_in_words(recording))
                    if not console.is_terminal and recording["state"] != shown:
                        shown = recording["state"]
                        typer.echo(recording_in_words(recording), err=True)
                time.sleep(0.2)
            except KeyboardInterrupt:
                if asked_to_end:
                    raise
                asked_to_end = True
                try:
                    daemon.stop_recording()
                except LinkError as error:
                    raise LinkError(f"{error}; the recording goes on: actd record --stop") from None


@app.command()
def keep(
    config: ConfigOption = None, host: HostOption = "127.0.0.1", as_json: AsJson = False
) -> None:
    """Save the last seconds of pictures beside the flight log, for the report of the run."""
    from actd.link.request import as_sent

    with operator(config, host, trusting=True) as daemon, as_sent():
        order = daemon.keep()["order"]
        deadline_s = time.monotonic() + _SAVE_S
        while (pictures := daemon.status()["pictures"])["orders"] < order:
            if time.monotonic() > deadline_s or not pictures["state"].startswith("running"):
                raise ActdError(f"not kept: picture recorder {pictures['state']}")
            time.sleep(0.05)
        file = Path(pictures["newest"])
    if as_json:
        typer.echo(json.dumps({"file": str(file)}))
        return
    typer.echo(f"kept: {file}")
    typer.echo(f"next: actd report {file.parent.parent}")


@app.command()
def report(
    runs: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(
            help="A flight recording; default: the newest. With --episodes any number of them, or "
            "folders of them; default: all.",
        ),
    ] = None,
    episodes: Annotated[
        bool,
        typer.Option("--episodes", help="Compare scored episodes, per engine and chunk mode."),
    ] = False,
    out: Annotated[
        OptionalPath, typer.Option(help="HTML file; default: ./RUN.html, with --episodes none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a page of a run: lateness, joints, chunks, modes, limits and faults.

    With --episodes a table of how often each engine succeeds, and whether engines differ.
    """
    from actd.flightlog.reader import default_flights

    places = runs or [default_flights()]
    if episodes:
        _report_episodes(places, out, as_json)
        return
    if as_json:
        raise UsageError("--json: is for --episodes; a page's figures are those of the recording")
    if len(places) > 1:
        raise UsageError(f"{places[1]}: one run makes a page; with --episodes there may be several")
    _report_run(places[0], out)


def _report_episodes(places: list[Path], out: Path | None, as_json: bool) -> None:
    from actd.replay.episode_tables import terminal_tables
    from actd.replay.episodes import read_scores

    if out is not None:
        with _report_extra():
            from actd.replay.episode_page import episodes_page
            from actd.report.page import PAGE_FILE
        PAGE_FILE.check_place(out)
    scores = read_scores(places)
    if out is not None:
        PAGE_FILE.write(episodes_page(scores), out)
    if as_json:
        typer.echo(json.dumps(scores.to_dict()))
    else:
        show(terminal_tables(scores))
        if out is not None:
            typer.echo(f"wrote {out}")
    if scores.damage:
        warn(f"not counted: {each}" for each in scores.damage)
        raise typer.Exit(1)


@contextmanager
def _report_extra() -> Iterator[None]:
    """Around an import that needs the extra `report`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ActdError(f"report needs {error.name}; pip install 'actd[report]'") from None


def _report_run(run: Path, out: Path | None) -> None:
    with _report_extra():
        from actd.replay.page import flight_page
        from actd.report.page import PAGE_FILE
    from actd.flightlog.reader import read_flight
    from actd.runtime.run_info import run_info

    if out is not None:
        PAGE_FILE.check_place(out)
    flight = read_flight(run)
    target = out or Path(f"{run_info(flight).name}.html")
    PAGE_FILE.write(flight_page(flight), target)
    typer.echo(f"wrote {target}")
    typer.echo(f"next: actd replay {flight.folder}")


@app.command()
def mcap(
    run: Annotated[
        OptionalPath, typer.Argument(help="A flight recording; default: the newest.")
    ] = None,
    out: Annotated[OptionalPath, typer.Option(help="A new file; default: ./RUN.mcap")] = None,
) -> None:
    """Write a run as MCAP, for Foxglove: commands, positions, timing, events."""
    try:
        from actd.replay.mcap import write_mcap
    except ModuleNotFoundError as error:
        raise ActdError(f"mcap needs {error.name}; pip install 'actd[foxglove]'") from None
    from actd.flightlog.reader import default_flights, read_flight
    from actd.runtime.run_info import run_info

    flight = read_flight(run or default_flights())
    target = out or Path(f"{run_info(flight).name}.mcap")
    with _progress("ticks") as progress:
        write_mcap(flight, target, progress)
    typer.echo(f"wrote {target}")
    typer.echo(f"next: open it in Foxglove, or: actd report {flight.folder}")


@app.command()
def replay(
    recording: Annotated[
        OptionalPath,
        typer.Argument(help="A flight recording (default: the newest), or a LeRobotDataset."),
    ] = None,
    config: Annotated[
        OptionalPath,
        typer.Option("--config", "-c", help="Decide with this deployment file's settings."),
    ] = None,
    limits: Annotated[
        bool, typer.Option("--limits", help="How often each limit fires on the recorded motion.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a recording again: the same decisions, or those of other settings."""
    from actd.flightlog.reader import default_flights

    source = recording or default_flights()
    is_dataset = (source / "meta" / "info.json").is_file()
    if limits:
        _replay_limits(source, is_dataset, config, as_json)
    elif is_dataset:
        raise UsageError(
            f"{source}: a dataset holds no decisions; give --limits --config actd.yaml, "
            "or compare engines on it with actd eval"
        )
    elif config is not None:
        _replay_settings(source, config, as_json)
    else:
        _replay_decisions(source, as_json)


def _replay_decisions(source: Path, as_json: bool) -> None:
    from actd.flightlog.reader import read_flight
    from actd.replay.decisions import verify
    from actd.replay.tables import result_lines

    flight = read_flight(source)
    with _progress("ticks") as progress:
        result = verify(flight, progress)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        for line in result_lines(result):
            typer.echo(line)
        typer.echo(f"next: actd report {flight.folder}")
    if not result.equal:
        raise typer.Exit(1)


def _replay_settings(source: Path, config: Path, as_json: bool) -> None:
    from actd.flightlog.reader import read_flight
    from actd.replay.compare import compare
    from actd.replay.recorded_run import other_settings
    from actd.replay.tables import change_tables

    flight = read_flight(source)
    others = other_settings(flight, config)
    with _progress("ticks") as progress:
        change = compare(flight, others, progress)
    if as_json:
        typer.echo(json.dumps(change.to_dict()))
    else:
        show(change_tables(change))
        if not change.reproduced:
            typer.echo(f"the recorded settings differ too; see actd replay {flight.folder}")
        typer.echo(f"next: actd replay {flight.folder} --limits --config {config}")


def _replay_limits(source: Path, is_dataset: bool, config: Path | None, as_json: bool) -> None:
    from actd.replay.limits import check_dataset, check_flight
    from actd.replay.tables import limits_table

    if is_dataset:
        from actd.config import load
        from actd.datasets import open_dataset
        from actd.runtime.settings import control_without_policy

        if config is None:
            raise UsageError(f"{source}: a dataset has no limits; give --config actd.yaml")
        dataset = open_dataset(source)
        settings = control_without_policy(load(config), 1, dataset.fps)
        for note in dataset.notes:
            typer.echo(f"note: {note}", err=True)
        with _progress("episodes") as progress:
            report = check_dataset(dataset, settings, progress)
    else:
        from actd.flightlog.reader import read_flight
        from actd.replay.recorded_run import other_settings
        from actd.runtime.run_info import run_info

        flight = read_flight(source)
        settings = other_settings(flight, config) if config else run_info(flight).control
        with _progress("ticks") as progress:
            report = check_flight(flight, settings, progress)
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        show(limits_table(report))
        if report.ticks * settings.period_ns < _ENOUGH_NS:
            typer.echo(
                "note: too little motion for limits of a whole task; use a longer recording, or "
                "the dataset of the training",
                err=True,
            )
            return
        typer.echo(f"next: set robot.joints, then actd config check {config or DEFAULT_CONFIG}")


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """A bar on stderr that goes away when all is done."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
