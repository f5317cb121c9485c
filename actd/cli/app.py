"""The command tree that every module of this package adds its commands to."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from actd import __version__


class CarriedError(Exception):
    """Carries an error past typer."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Commands(TyperGroup):
    """Keeps typer from answering for errors of ours that it takes for its own."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A pipe that broke and a file that ended are not its business."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:
            raise CarriedError(error) from None


app = typer.Typer(
    help="Run a trained ACT policy on a real robot: on time, safely, fast.",
    cls=Commands,
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
