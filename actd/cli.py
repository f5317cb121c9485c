"""The commands: parse, call, print. Everything heavy is imported by the command that needs it.

An ActdError becomes its message on stderr and its exit code; Ctrl-C exits 130.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from actd import __version__
from actd.errors import ActdError, UsageError

if TYPE_CHECKING:
    from actd.client import Operator
    from actd.config import Config
    from actd.link.sockets import Ports

app = typer.Typer(
    help="Run a trained ACT policy on a real robot: on time, safely, fast.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Check, show and describe deployment files.", no_args_is_help=True)
app.add_typer(config_app, name="config")

DEFAULT_CONFIG = Path("actd.yaml")

ConfigArgument = Annotated[Path, typer.Argument(help="Deployment file.", show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045  # typer reads the annotation at run time, on 3.10 too
    typer.Option(
        "--config", "-c", help="Deployment file that says the ports (default: 9871-9874)."
    ),
]
HostOption = Annotated[str, typer.Option(help="Where the daemon runs.")]
OptionalPath = Optional[Path]  # noqa: UP045


class Realtime(str, Enum):
    """Values of --realtime."""

    require = "require"
    prefer = "prefer"
    off = "off"


class PlanModeOption(str, Enum):
    """Values of --mode."""

    temporal = "temporal"
    queue = "queue"
    latest = "latest"


class Stream(str, Enum):
    """What `echo` listens to."""

    actions = "actions"
    status = "status"


def main() -> None:
    """Entry point of the `actd` command."""
    try:
        app()
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`actd echo | head`): end as quietly as it did.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Show the version, or nothing."""
    if version:
        typer.echo(f"actd {__version__}")
        raise typer.Exit


@app.command()
def demo(
    seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=1.0, help="Stop after this long; default: until Ctrl-C."),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No window, even with one.")] = False,
    as_json: AsJson = False,
    engine: Annotated[OptionalPath, typer.Option(help="Another engine folder.")] = None,
    mode: Annotated[Optional[PlanModeOption], typer.Option(help="Chunk mode.")] = None,  # noqa: UP045
    realtime: Annotated[Realtime, typer.Option(help="Real-time measures.")] = Realtime.prefer,
    out: Annotated[Path, typer.Option(help="Where the recording goes.")] = Path("outputs/demo"),
) -> None:
    """Watch a simulated ALOHA being driven by an exported ACT policy through the real daemon."""
    from actd.demo import run_demo

    code = run_demo(
        seconds=seconds,
        headless=headless,
        as_json=as_json,
        engine=engine,
        mode=mode.value if mode else None,
        realtime=realtime.value,
        out=out,
    )
    raise typer.Exit(code)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="LeRobot ACT checkpoint folder.")],
    out: Annotated[Path, typer.Option(help="Engines are written to OUT/<engine>.")],
    engine: Annotated[str, typer.Option(help="Engines to build, by comma.")] = "ort-fp32,ort-int8",
    calibration: Annotated[
        OptionalPath,
        typer.Option(help="Recorded observations (.npz file or folder of them) for int8."),
    ] = None,
) -> None:
    """Turn a checkpoint into engines, each with its error against torch."""
    from actd.engine.export import export_checkpoint

    export_checkpoint(checkpoint, out, _names(engine), calibration, typer.echo)
    first = out / _names(engine)[0]
    typer.echo(f"next: actd bench {first}   or   actd init {checkpoint} --engine {first}")


@app.command()
def infer(
    engine_dir: Annotated[Path, typer.Argument(help="Engine folder.")],
    obs: Annotated[Path, typer.Option(help=".npz keyed by LeRobot feature names.")],
    out: Annotated[Path, typer.Option(help=".npz to write: `actions`, physical units.")],
) -> None:
    """Run an engine once on recorded observations."""
    from actd.engine.infer import infer_file

    shape = infer_file(engine_dir, obs, out)
    typer.echo(f"{out}: actions {'x'.join(map(str, shape))}, physical units")


@app.command()
def bench(
    folders: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(help="Engine folders; default: engines of a default-size untrained ACT."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Engines by comma, or all.")] = "all",
    checkpoint: Annotated[OptionalPath, typer.Option(help="Build from this checkpoint.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs of each engine.")] = 50,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="CPU threads; default: all cores."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time engines side by side and show their error against torch."""
    from actd.engine.benchmark import run_benchmark

    report = run_benchmark(
        _names(engine),
        folders or [],
        checkpoint=checkpoint,
        rounds=rounds,
        threads=threads,
        report=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        _print(report.table())
        typer.echo("next: actd init CHECKPOINT --engine DIR, then actd run actd.yaml")
    raise typer.Exit(report.exit_code)


@app.command()
def init(
    checkpoint: Annotated[Path, typer.Argument(help="LeRobot ACT checkpoint folder.")],
    out: Annotated[Path, typer.Option(help="Deployment file to write.")] = DEFAULT_CONFIG,
    engine: Annotated[
        OptionalPath, typer.Option(help="Engine folder the file should name.")
    ] = None,
    robot: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Take joint names and limits from a shipped robot (aloha, so101)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented actd.yaml that fits a checkpoint."""
    from actd.scaffold import write_config

    for line in write_config(checkpoint, out, engine=engine, robot=robot, force=force):
        typer.echo(line)


@app.command()
def run(
    config: ConfigArgument = DEFAULT_CONFIG,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, start nothing.")
    ] = False,
) -> None:
    """Run the daemon in the foreground, as the service does."""
    from actd.runtime.launch import prepare

    settings, manifest = prepare(config)
    if dry_run:
        typer.echo(f"{config}: fits {settings.engine}; next: actd run {config}")
        return
    import faulthandler

    from actd.runtime.supervisor import run as run_daemon

    # A missed systemd watchdog ends us by SIGABRT: say where each thread stood.
    faulthandler.enable()
    _log_to_stderr()
    run_daemon(settings, manifest)


@app.command()
def status(
    config: ConfigOption = None, host: HostOption = "127.0.0.1", as_json: AsJson = False
) -> None:
    """Show what the daemon is doing."""
    from actd.observe.status import render

    with _operator(config, host) as operator:
        answer = operator.status()
    answer.pop("v"), answer.pop("ok")
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        _print(render(answer))


@app.command()
def echo(
    stream: Annotated[Stream, typer.Argument(help="What to listen to.")] = Stream.actions,
    count: Annotated[int, typer.Option(min=0, help="Messages to print; 0: until Ctrl-C.")] = 0,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
) -> None:
    """Print messages as they pass on the wire, one JSON object a line."""
    from actd.observe.echo import messages_of

    for number, message in enumerate(messages_of(stream.value, host, _ports(config)), start=1):
        typer.echo(json.dumps(message))
        if number == count:
            return


@app.command()
def arm(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Let the policy drive; refused with reasons while anything is stale or far off."""
    _command("arm", config, host)


@app.command()
def hold(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Ramp to rest and stay until armed again."""
    _command("hold", config, host)


@app.command()
def stop(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Ramp to rest and latch STOP."""
    _command("stop", config, host)


@app.command()
def reset(config: ConfigOption = None, host: HostOption = "127.0.0.1") -> None:
    """Leave FAULT or STOP for IDLE."""
    _command("reset", config, host)


@config_app.command("check")
def config_check(config: ConfigArgument = DEFAULT_CONFIG) -> None:
    """Report every mistake in a deployment file, and whether it fits its engine."""
    from actd.runtime.launch import prepare

    settings, _ = prepare(config)
    typer.echo(f"{config}: correct, and fits {settings.engine}; next: actd run {config}")


@config_app.command("show")
def config_show(config: ConfigArgument = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Print a deployment file with every default filled in."""
    from actd.config import load

    settings = load(config).model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(settings))
        return
    from ruamel.yaml import YAML

    YAML(typ="safe").dump(settings, sys.stdout)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of deployment files, for editors."""
    from actd.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=2))


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--engine: no engine named: give for example ort-fp32,ort-int8")
    return names


def _ports(config: Path | None) -> Ports | None:
    if config is None:
        return None
    from actd.config import load

    settings: Config = load(config)
    return settings.link.ports


def _operator(config: Path | None, host: str) -> Operator:
    from actd.client import Operator

    return Operator(host, _ports(config))


def _command(name: str, config: Path | None, host: str) -> None:
    with _operator(config, host) as operator:
        operator.request(name)
        typer.echo(f"{name}: done; the daemon is {operator.status()['mode']}")


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def _log_to_stderr() -> None:
    # journald stamps every line itself.
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(level=logging.INFO, format=f"{stamp}%(levelname)s %(message)s")
