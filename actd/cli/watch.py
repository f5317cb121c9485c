"""Looking on while the daemon works: top, stream."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from actd.cli.app import app
from actd.cli.shared import ConfigOption, HostOption, link
from actd.errors import ActdError, UsageError
from actd.redaction import redact

if TYPE_CHECKING:
    from actd.viewers.sink import Sink


class Viewer(str, Enum):
    """Values of --to."""

    foxglove = "foxglove"
    rerun = "rerun"


_PORTS = {Viewer.foxglove: 8765, Viewer.rerun: 9876}
"""Where each of them is by its own default."""


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

    target = link(config, trusting=True)
    with Watch(host, target.ports, target.robot) as watch:
        screen = Top(watch)
        screen.run()
    raise typer.Exit(screen.return_code or 0)


@app.command()
def stream(
    to: Annotated[Viewer, typer.Option(help="Who shows it.")] = Viewer.foxglove,
    fps: Annotated[
        float, typer.Option(min=0, max=60, help="Pictures a second of each camera; 0: none.")
    ] = 10,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The viewer's port; 0: its usual one.")
    ] = 0,
    dashboard: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="The daemon's page, for measured positions and pictures; default: "
            "http://127.0.0.1 at the port that the deployment file says, else 9875.",
        ),
    ] = None,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
) -> None:
    """Show the running daemon's data live in Foxglove or Rerun; it only listens."""
    import asyncio

    target = link(config)
    sink = _sink(to, target.robot or "actd", port or _PORTS[to])
    from actd.viewers.live import Source, stream

    page = dashboard or f"http://127.0.0.1:{target.dashboard_port}"
    source = Source(host, target.ports, target.robot, page.rstrip("/"), fps)
    try:
        asyncio.run(stream(source, sink, lambda text: typer.echo(redact(text), err=True)))
    finally:
        sink.close()


def _sink(viewer: Viewer, robot: str, port: int) -> Sink:
    """The viewer, ready; prints where it is."""
    try:
        if viewer is Viewer.rerun:
            from actd.viewers.rerun import Recording

            typer.echo(f"stream: to the Rerun viewer at 127.0.0.1:{port}; Ctrl-C ends")
            return Recording(robot, port)
        from actd.viewers.foxglove import Server
    except ModuleNotFoundError as error:
        raise ActdError(f"stream needs {error.name}; pip install 'actd[{viewer.value}]'") from None
    server = Server(robot, "127.0.0.1", port)
    typer.echo(f"stream: open {server.address} in Foxglove; Ctrl-C ends")
    return server
