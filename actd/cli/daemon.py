"""The daemon and its operators: demo, run, status, echo, arm, takeover, park, hold, stop, reset."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from actd.cli.app import app
from actd.cli.poses import move
from actd.cli.shared import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigArgument,
    ConfigOption,
    HostOption,
    OptionalPath,
    link,
    operator,
    show,
    warn,
)
from actd.mode import Mode

if TYPE_CHECKING:
    from actd.config import Config
    from actd.engine.manifest import Manifest


class Realtime(str, Enum):
    """Values of --realtime."""

    require = "require"
    prefer = "prefer"
    off = "off"


class ChunkModeOption(str, Enum):
    """Values of --mode."""

    temporal = "temporal"
    queue = "queue"
    latest = "latest"


class Since(str, Enum):
    """Values of --since."""

    clear = "clear"
    start = "start"


class Stream(str, Enum):
    """What `echo` listens to."""

    actions = "actions"
    status = "status"


@app.command()
def demo(
    seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=1.0, help="Stop after this long; default: until Ctrl-C."),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No window, even with one.")] = False,
    as_json: AsJson = False,
    policy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="An engine or checkpoint of an ACT for gym-aloha; default: the demo's."),
    ] = None,
    mode: Annotated[Optional[ChunkModeOption], typer.Option(help="Chunk mode.")] = None,  # noqa: UP045
    realtime: Annotated[Realtime, typer.Option(help="Real-time measures.")] = Realtime.prefer,
    out: Annotated[Path, typer.Option(help="Where the recording goes.")] = Path("outputs/demo"),
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, help="Of the places of the object; default: others every time."),
    ] = None,
    shift_cm: Annotated[
        float,
        typer.Option(
            min=0.0, max=10.0, help="Move the object so far, a second after each attempt begins."
        ),
    ] = 0.0,
) -> None:
    """Watch a simulated ALOHA do a task, driven by an ACT policy through the real daemon."""
    from actd.demo import Options, run_demo

    options = Options(
        seconds=seconds,
        headless=headless,
        policy=policy,
        chunk_mode=mode.value if mode else None,
        out=out,
        realtime=realtime.value,
        seed=seed,
        shift_cm=shift_cm,
    )
    raise typer.Exit(run_demo(options, as_json=as_json))


@app.command()
def run(
    config: ConfigArgument = DEFAULT_CONFIG,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, start nothing.")
    ] = False,
) -> None:
    """Run the daemon in the foreground, as the service does."""
    if dry_run:
        _check(config)
        return
    import faulthandler

    from actd.runtime import event_log, events
    from actd.runtime.supervisor import run as run_daemon

    # A missed systemd watchdog ends us by SIGABRT: say where each thread stood.
    faulthandler.enable()
    with event_log.installed() as log:
        settings, manifest, chunk, doubts = _prepared(config)
        log.robot = settings.robot.name
        text = f"starting robot {settings.robot.name} with {settings.engine}; chunk: {chunk}"
        event_log.say(events.STARTING, text)
        for doubt in doubts:
            event_log.say(events.CONFIGURATION_DOUBTFUL, doubt)
        run_daemon(config, settings, manifest)


def _check(path: Path) -> None:
    from actd.runtime.preflight import unplayable

    settings, _, chunk, doubts = _prepared(path)
    typer.echo(f"robot: {settings.robot.name}")
    typer.echo(f"chunk: {chunk}")
    warn([*doubts, *unplayable(settings)])
    typer.echo(f"{path}: fits {settings.engine}; next: actd run {path}")


def _prepared(path: Path) -> tuple[Config, Manifest, str, list[str]]:
    """The deployment, its engine, what its chunks are in words, and what is doubtful in it."""
    from actd.config import warnings
    from actd.engine.load import version_note
    from actd.runtime.preflight import prepare
    from actd.runtime.settings import chunk_words

    settings, manifest = prepare(path)
    doubts = [*filter(None, [version_note(manifest)]), *warnings(settings, manifest)]
    return settings, manifest, chunk_words(settings, manifest.spec), doubts


@app.command()
def status(
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    as_json: AsJson = False,
    hgrm: Annotated[
        OptionalPath,
        typer.Option(help="Folder for percentile distributions that HdrHistogram plotters read."),
    ] = None,
    since: Annotated[
        Since, typer.Option(help="--hgrm: since the figures were last cleared, or all.")
    ] = Since.clear,
) -> None:
    """Show what the daemon is doing."""
    from actd.cli.status import render
    from actd.client import Operator
    from actd.link.request import as_sent

    target = link(config, trusting=True)
    with Operator(host, target.ports) as daemon:
        answer = daemon.status()
        histograms = daemon.request("histograms") if as_json or hgrm else {}
    with as_sent():
        if target.robot not in ("", answer["robot"]):
            warn([f"this is {answer['robot']}, not {target.robot}; check --config and the ports"])
        encoded = histograms[f"since_{since.value}"].items() if hgrm is not None else ()
    for reply in (answer, histograms):
        reply.pop("v", None), reply.pop("ok", None)
    if hgrm is not None:
        from actd.runtime.histogram import write_hgrm

        for file in write_hgrm(hgrm, dict(encoded)):
            typer.echo(f"{file}: written", err=True)
    if as_json:
        typer.echo(json.dumps(answer | {"histograms": histograms}))
    else:
        show(render(answer))


@app.command()
def echo(
    stream: Annotated[Stream, typer.Argument(help="What to listen to.")] = Stream.actions,
    count: Annotated[int, typer.Option(min=0, help="Messages to print; 0: until Ctrl-C.")] = 0,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
) -> None:
    """Print messages as they pass on the wire, one JSON object a line."""
    from actd.cli.echo import messages_of

    listened = messages_of(stream.value, host, link(config, trusting=True).ports)
    for number, message in enumerate(listened, start=1):
        typer.echo(json.dumps(message))
        if number == count:
            return


@app.command()
def arm(
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    from_here: Annotated[
        bool,
        typer.Option(
            "--from-here", help="Move to the pose `start` first, else to where the policy starts."
        ),
    ] = False,
) -> None:
    """Let the policy drive; refused with reasons while anything is stale or far off."""
    if from_here:
        move("approach", Mode.ARMED, config, host)
    else:
        _command("arm", config, host)


@app.command()
def takeover(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Let the leader arm of `actd drive --teleop` lead; `actd arm` gives back to the policy."""
    _command("takeover", config, host)


@app.command()
def park(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Move to the pose `park` and hold there; Ctrl-C holds at once."""
    move("park", Mode.HOLD, config, host)


@app.command()
def hold(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Ramp to rest and stay until armed again."""
    _command("hold", config, host, trusting=True)


@app.command()
def stop(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Ramp to rest and latch STOP."""
    _command("stop", config, host, trusting=True)


@app.command()
def reset(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Leave FAULT or STOP for IDLE."""
    _command("reset", config, host)


def _command(name: str, config: Path | None, host: str, *, trusting: bool = False) -> None:
    from actd.link.request import as_sent

    with operator(config, host, trusting=trusting) as daemon:
        answer = getattr(daemon, name)()
    with as_sent():
        warn(answer.get("warnings", ()))
        typer.echo(f"{name}: done; {answer['robot']} is {answer['mode']}")
