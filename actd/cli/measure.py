"""Measuring the robot: measure latency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from actd.cli.app import app
from actd.cli.shared import AsJson, OptionalPath
from actd.errors import UsageError

if TYPE_CHECKING:
    from actd.latency.result import JointDelay

measure_app = typer.Typer(help="Measure the robot behind the wire.", no_args_is_help=True)
app.add_typer(measure_app, name="measure")


@measure_app.callback()
def measure() -> None:
    """Keep `latency` a subcommand while it is the only one."""


@measure_app.command("latency")
def latency(
    run: Annotated[
        OptionalPath, typer.Argument(help="A flight recording, default the newest: nothing moves.")
    ] = None,
    config: Annotated[
        OptionalPath,
        typer.Option("--config", "-c", help="Deployment file: move a joint by small steps."),
    ] = None,
    joint: Annotated[Optional[str], typer.Option(help="Joint to move, or to report.")] = None,  # noqa: UP045
    amplitude: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            min=1e-9, help="Size of a step, in the joint's unit; default: 1% of its range."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Rounds of steps.")] = 5,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Move without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the time from a command to the arm's answer, and say what it is right for.

    From a recording, or by moving one joint (--config and --joint, no daemon running).
    """
    from actd.latency import result

    if run is not None and config is not None:
        raise UsageError("give either a recording, or --config actd.yaml --joint NAME")
    if config is None:
        delays = _from_recording(run, joint)
    elif joint is None:
        raise UsageError("--joint: which one may be moved? give its name")
    else:
        delays = [_from_steps(config, joint, amplitude, repeats, ask=not yes)]
    if as_json:
        typer.echo(json.dumps(result.as_json(delays)))
    else:
        typer.echo("\n".join(result.lines(delays)))


def _from_recording(run: Path | None, joint: str | None) -> list[JointDelay]:
    from actd.flightlog.reader import default_flights, read_flight
    from actd.latency.passive import joint_delays
    from actd.runtime.run_info import run_info

    flight = read_flight(run or default_flights())
    control = run_info(flight).control
    delays = joint_delays(flight.ticks, control)
    joints = ", ".join(control.joints)
    chosen = [one for one in delays if joint in (None, one.joint)]
    if not chosen:
        raise UsageError(f"--joint {joint}: not in {flight.folder}: choose of {joints}")
    return chosen


def _from_steps(
    config: Path, joint: str, amplitude: float | None, repeats: int, *, ask: bool
) -> JointDelay:
    from actd.config import load
    from actd.latency.steps import measure_steps

    def confirm(sentence: str) -> None:
        typer.echo(sentence, err=True)
        if ask:
            typer.confirm("Is everyone clear of the arm? Move it now?", abort=True, err=True)

    return measure_steps(load(config), joint, amplitude, repeats, confirm)
