"""From a checkpoint to an engine and a deployment: inspect, export, infer, init."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from actd.cli.app import app
from actd.cli.checkpoint import CheckpointArgument, OptionalText, with_overrides
from actd.cli.shared import DEFAULT_CONFIG, AsJson, OptionalPath, names, show, warn
from actd.errors import ActdError
from actd.policy.overrides import Overrides
from actd.redaction import redact


@app.command()
@with_overrides
def inspect(
    checkpoint: CheckpointArgument,
    *,
    overrides: Overrides,
    as_json: AsJson = False,
) -> None:
    """Say what a checkpoint is: features, normalisation, network, training, warnings."""
    try:
        from actd.policy.checkpoint import open_checkpoint
        from actd.policy.describe import Description

        opened = open_checkpoint(checkpoint, overrides)
    except ImportError as error:
        raise ActdError(f"inspect needs {error.name}; pip install 'actd[export]'") from None
    shown = redact(checkpoint)
    command = shlex.join(["actd", "export", shown, *overrides.options(), "--out", "engines/mine"])
    description = Description(opened, command)
    if as_json:
        typer.echo(json.dumps(description.to_dict()))
        return
    for line in description.lines():
        typer.echo(line)


@app.command()
@with_overrides
def export(
    checkpoint: CheckpointArgument,
    out: Annotated[Path, typer.Option(help="Engines are written to OUT/<engine>.")],
    engine: Annotated[
        str, typer.Option(help="Engines or recipe.yaml files, by comma; auto: the fastest.")
    ] = "ort-fp32,ort-int8",
    calibration: Annotated[
        OptionalPath,
        typer.Option(
            help="Frames for int8 and for parity: LeRobotDataset, images, .npz or synthetic."
        ),
    ] = None,
    *,
    overrides: Overrides,
) -> None:
    """Turn a checkpoint into engines, each with its error against torch."""
    from actd.export.export import export_checkpoint
    from actd.export.parity_table import render

    results = export_checkpoint(
        checkpoint, out, names(engine), calibration, typer.echo, overrides=overrides
    )
    show(render([result.parity_report for result in results]))
    first = results[0].folder
    typer.echo(f"next: actd bench {first}   or   {shlex.join(['actd', 'init', str(first)])}")


@app.command()
def infer(
    engine_dir: Annotated[Path, typer.Argument(help="Engine folder.")],
    obs: Annotated[Path, typer.Option(help=".npz keyed by LeRobot feature names.")],
    out: Annotated[Path, typer.Option(help=".npz to write: `actions`, physical units.")],
) -> None:
    """Run an engine once on recorded observations."""
    from actd.engine.infer import infer_file

    shape = infer_file(engine_dir, obs, out, lambda line: warn([line]))
    typer.echo(f"{out}: actions {'x'.join(map(str, shape))}, physical units")


@app.command()
@with_overrides
def init(
    source: Annotated[
        str, typer.Argument(help="Engine folder; or checkpoint: folder, run, .ckpt or hub id.")
    ],
    out: Annotated[Path, typer.Option(help="Deployment file to write.")] = DEFAULT_CONFIG,
    engine: Annotated[
        OptionalPath, typer.Option(help="Engine folder the file should name.")
    ] = None,
    dataset: Annotated[
        OptionalText,
        typer.Option(
            help="LeRobotDataset that the policy was trained on: folder or hub id; default: what "
            "the engine or checkpoint knows of it."
        ),
    ] = None,
    robot: Annotated[
        OptionalText,
        typer.Option(
            help="Which robot it is (so101, aloha, ...: actd docs robots); default: the one that "
            "the dataset was recorded on."
        ),
    ] = None,
    match: Annotated[
        OptionalPath,
        typer.Option(help="LeRobotDataset whose first images tell which camera is which."),
    ] = None,
    robot_cameras: Annotated[
        bool,
        typer.Option(
            "--robot-cameras",
            help="The cameras are the robot's own, and `actd drive --cameras=robot` serves them.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    *,
    overrides: Overrides,
) -> None:
    """Write a commented actd.yaml that fits a checkpoint or an engine, and its dataset."""
    from actd.scaffold import write_config

    for line in write_config(
        source,
        out,
        engine=engine,
        robot=robot,
        dataset=dataset,
        match=match,
        robot_cameras=robot_cameras,
        force=force,
        overrides=overrides,
    ):
        typer.echo(line)
