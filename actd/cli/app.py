"""The command tree that every module of this package adds its commands to."""

from __future__ import annotations

from typing import Annotated

import typer

from actd import __version__

app = typer.Typer(
    help="Run a trained ACT policy on a real robot: on time, safely, fast.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Show the version, or nothing."""
    if version:
        typer.echo(f"actd {__version__}")
        raise typer.Exit
