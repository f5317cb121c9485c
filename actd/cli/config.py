"""Deployment files: check, show, describe."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from actd.cli.app import app
from actd.cli.shared import DEFAULT_CONFIG, AsJson, ConfigArgument, operator, warn
from actd.errors import ActdError, LinkError
from actd.redaction import redacted

config_app = typer.Typer(help="Check, show and describe deployment files.", no_args_is_help=True)
app.add_typer(config_app, name="config")


@config_app.command("check")
def config_check(
    config: ConfigArgument = DEFAULT_CONFIG,
    running: Annotated[
        bool, typer.Option("--running", help="Fail where the running daemon does otherwise.")
    ] = False,
) -> None:
    """Report every mistake in a deployment file, and whether it fits its engine."""
    from actd.config import warnings
    from actd.engine.load import version_note
    from actd.runtime.preflight import prepare, unplayable
    from actd.runtime.settings import chunk_words

    settings, manifest = prepare(config)
    typer.echo(f"chunk: {chunk_words(settings, manifest.spec)}")
    warn(
        [
            *filter(None, [version_note(manifest)]),
            *warnings(settings, manifest),
            *unplayable(settings),
        ]
    )
    fits = f"{config}: correct, and fits {settings.engine}"
    if running:
        _check_running(config)
        typer.echo(f"{fits}; the daemon runs with it")
    else:
        typer.echo(f"{fits}; next: actd run {config}")


def _check_running(config: Path) -> None:
    """Raise ActdError where the daemon of this file runs with other values."""
    try:
        with operator(config, "127.0.0.1") as daemon:
            keys = daemon.request("changes")["keys"]
    except LinkError as error:
        raise LinkError(f"{error}, or restart it if `link` or robot.name changed") from None
    if keys:
        raise ActdError(
            f"{config}: changed since the daemon started: {', '.join(keys)}; none of it is taken "
            "over while an arm may move: restart the daemon, which brings the arm to rest first"
        )


@config_app.command("show")
def config_show(config: ConfigArgument = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Print a deployment file with every default filled in, and *** for what is secret."""
    from actd.config import load

    deployment = load(config)
    settings = redacted(deployment.model_dump(mode="json"))
    for joint in deployment.joints:
        shown = settings["robot"]["joints"][joint.name]
        filled = {key: value for key, value in asdict(joint).items() if key in shown}
        settings["robot"]["joints"][joint.name] = shown | filled
    if as_json:
        typer.echo(json.dumps(settings))
        return
    from ruamel.yaml import YAML

    # In the file's order: that of the joints is the action vector's.
    YAML().dump(settings, sys.stdout)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of deployment files, for editors."""
    from actd.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=2))
