"""Poses: save where the arm is, and move to where it was saved."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actd.cli.app import app
from actd.cli.shared import DEFAULT_CONFIG, ConfigOption, HostOption, operator, warn
from actd.control.state import PARKED
from actd.errors import ActdError
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
    from actd.cli.status import as_sent
    from actd.config import load
    from actd.config.pose_file import check_name, measured_pose, save_pose

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
    from actd.cli.status import as_sent

    with operator(config, host) as daemon, as_sent():
        answer = daemon.request(command)
        warn(answer.get("warnings", ()))
        try:
            answer = _wait(daemon, command, answer)
        except KeyboardInterrupt:
            typer.echo(f"{command}: interrupted; {daemon.hold()['mode']}", err=True)
            raise
        robot, mode, reason = answer["robot"], answer["mode"], answer["reason"]
    if mode != arrives.name or (arrives is Mode.HOLD and reason != PARKED):
        raise ActdError(f"{command}: ended early; {robot} is {mode}: {reason}")
    typer.echo(f"{command}: done; {robot} is {mode}")


def _wait(daemon: Operator, command: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The daemon's first answer in which nothing moves to a pose any more."""
    left_s = answer["move"]["left_s"]
    typer.echo(f"{command}: moving for {left_s:.1f} s; Ctrl-C holds", err=True)
    while answer["mode"] == Mode.MOVING.name:
        time.sleep(_LOOK_S)
        answer = daemon.ping()
        _show(command, answer.get("move"))
    return answer


def _show(command: str, progress: dict[str, Any] | None) -> None:
    """How far the move has come, on one line of a terminal."""
    if not sys.stderr.isatty():
        return
    words = (
        ""
        if progress is None
        else (f"{command}: {progress['share']:.0%} of the way, {progress['left_s']:.1f} s left")
    )
    sys.stderr.write(f"\r{words:<60}\r" if progress is None else f"\r{words:<60}")
    sys.stderr.flush()
