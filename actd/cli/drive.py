"""`drive`, for whoever reads `actd --help`: `actd.__main__` starts it without typer."""

from __future__ import annotations

import typer

from actd.cli.app import app


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def drive(context: typer.Context) -> None:
    """Connect a robot to the daemon: any LeRobot robot, or a class of your own."""
    from actd.drive.command import drive

    drive(context.args)
