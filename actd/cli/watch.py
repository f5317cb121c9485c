"""Looking on while the daemon works: top."""

from __future__ import annotations

import os
import sys

import typer

from actd.cli.app import app
from actd.cli.shared import ConfigOption, HostOption, link
from actd.errors import ActdError, UsageError


@app.command()
def top(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Watch the daemon in a terminal; h holds, s stops, q leaves."""
    on_screen = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if not on_screen:
        raise UsageError(
            "top: needs a terminal; for scripts there are `actd status --json` and `actd echo`"
        )
    try:
        from actd.top.app import Top
    except ModuleNotFoundError as error:
        raise ActdError(f"top needs {error.name}; pip install 'actd[top]'") from None
    from actd.top.watch import Watch

    found = link(config, trusting=True)
    with Watch(host, found.ports, found.robot) as watch:
        screen = Top(watch)
        screen.run()
    raise typer.Exit(screen.return_code or 0)
