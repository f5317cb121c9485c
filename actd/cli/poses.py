"""Poses: save where the arm is, and move to where it was saved."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actd.cli.app import app
from actd.cli.shared import DEFAULT_CONFIG, ConfigOption, HostOption, operator
from actd.control.state import PARKED
from actd.errors import ActdError, LinkError
from actd.mode import Mode

if TYPE_CHECKING:
    from actd.client import Operator

_LOOK_S = 0.1

pose_app = typer.Typer(help="Save poses of the arm in the deployment file.", no_args_is_help=True)
app.add_typer(pose_app, name="pose")


@pose_app.command("save")
def pose_save(
    name: Annotated[str, typer.Argument(help="start, or park.", metavar="NAME")],
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
) -> None:
    """Write where the daemon's arm is now into the deployment file, as start or park."""
    from actd.config import load
    from actd.config.pose_file import check_name, measured_pose, save_pose
    from actd.link.request import as_sent

    path = config or DEFAULT_CONFIG
    check_name(name)
    deployment = load(path)
    with operator(path, host) as daemon:
        status = daemon.status()
    with as_sent():
        pose = measured_pose(deployment, status["positions"], status["state_age_ms"])
    save_pose(path, name, pose)
    typer.echo(
        f"{path}: poses.{name} is where {deployment.robot.name} is now, {len(pose)} joints; the "
        "daemon reads it when it starts: start it again"
    )


def move(command: str, arrives: Mode, config: Path | None, host: str) -> None:
    """Order a move and wait for its end, which is `arrives` where it went well; Ctrl-C holds."""
    from actd.link.request import as_sent

    with operator(config, host) as daemon, as_sent():
        try:
            answer = _wait(daemon, command)
        except KeyboardInterrupt:
            typer.echo(f"{command}: interrupted: {_hold(daemon)}", err=True)
            raise
        robot, mode, reason = answer["robot"], answer["mode"], answer["reason"]
    if mode != arrives.name or (arrives is Mode.HOLD and reason != PARKED):
        raise ActdError(f"{command}: ended early: {robot} is {mode}: {reason}")
    typer.echo(f"{command}: done; {robot} is {mode}")


def _wait(daemon: Operator, command: str) -> dict[str, Any]:
    """Order the move; the daemon's first answer after its end."""
    answer = daemon.request(command)
    left_s = answer["move"]["left_s"]
    typer.echo(f"{command}: moving for {left_s:.1f} s; Ctrl-C holds", err=True)
    while answer["mode"] == Mode.MOVING.name:
        time.sleep(_LOOK_S)
        answer = daemon.ping()
        _show(command, answer.get("move"))
    return answer


def _hold(daemon: Operator) -> str:
    """Hold, also where the order may not have been obeyed yet; what came of it."""
    try:
        answer = daemon.hold()
    except LinkError as error:
        return str(error)
    return f"{answer['robot']} is {answer['mode']}"


def _show(command: str, progress: dict[str, Any] | None) -> None:
    """How far the move has come, on one line of a terminal, which is empty at the end."""
    from actd.cli.status import progress_in_words

    if sys.stderr.isatty():
        line = "" if progress is None else f"{command}: {progress_in_words(progress)}"
        sys.stderr.write(f"\r{line:<60}" if line else f"\r{'':<60}\r")
        sys.stderr.flush()
