"""The commands: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from typer.main import get_command

from actd import program

# Each adds its commands to the tree, in this order.
from actd.cli import (
    bench,
    build,
    cameras,
    config,
    daemon,
    docs,
    doctor,
    drive,
    episodes,
    evaluate,
    measure,
    poses,
    recordings,
    service,
    watch,
)
from actd.cli.app import CarriedError, app

__all__ = [
    "app",
    "bench",
    "build",
    "cameras",
    "config",
    "daemon",
    "docs",
    "doctor",
    "drive",
    "episodes",
    "evaluate",
    "main",
    "measure",
    "poses",
    "recordings",
    "service",
    "watch",
]


def main() -> None:
    """Entry point of the `actd` command."""
    program.run(_run)


def _run() -> None:
    try:
        get_command(app)()
    except CarriedError as carried:
        raise carried.error from None
