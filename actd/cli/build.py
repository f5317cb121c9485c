"""From a checkpoint to an engine and a deployment: inspect, export, infer, bench, init."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Optional

import typer

from actd.cli.app import app
from actd.cli.shared import DEFAULT_CONFIG, AsJson, OptionalPath, names, show
from actd.errors import ActdError

# typer reads annotations at run time, on 3.10 too, hence Optional.
OptionalText = Optional[str]  # noqa: UP045


CheckpointArgument = Annotated[
    str,
    typer.Argument(help="ACT checkpoint: folder, training run, .ckpt file, or hub id owner/name."),
]
# What an original ACT does not say of itself; the rest serves any checkpoint.
Format = Annotated[str, typer.Option("--format", help="auto, lerobot or original.")]
Cameras = Annotated[
    OptionalText, typer.Option(help="Original ACT: its camera_names, by comma, in order.")
]
ImageSize = Annotated[OptionalText, typer.Option(help="Original ACT: HEIGHTxWIDTH of its images.")]
Heads = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Original ACT: attention heads (its own training uses 8)."),
]
Color = Annotated[
    OptionalText, typer.Option(help="Original ACT: channels it was trained on, rgb or bgr.")
]
Fps = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(help="Rate of the training data, where the checkpoint does not say."),
]
Dataset = Annotated[
    OptionalText, typer.Option(help="Whose statistics to use, where a checkpoint has several.")
]


@app.command()
def inspect(
    checkpoint: CheckpointArgument,
    format: Format = "auto",
    cameras: Cameras = None,
    image_size: ImageSize = None,
    heads: Heads = None,
    color: Color = None,
    fps: Fps = None,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Say what a checkpoint is: features, normalisation, network, training, warnings."""
    from actd.policy.hints import read_hints

    hints = read_hints(
        format=format,
        cameras=cameras,
        image_size=image_size,
        heads=heads,
        color=color,
        fps=fps,
        dataset=dataset,
    )
    try:
        from actd.policy.checkpoint import open_checkpoint
        from actd.policy.describe import Description

        opened = open_checkpoint(checkpoint, hints)
    except ImportError as error:
        raise ActdError(f"inspect needs {error.name}: pip install 'actd[export]'") from None
    command = shlex.join(["actd", "export", checkpoint, *hints.options(), "--out", "engines/mine"])
    description = Description(opened, command)
    if as_json:
        typer.echo(json.dumps(description.to_dict()))
        return
    for line in description.lines():
        typer.echo(line)


@app.command()
def export(
    checkpoint: CheckpointArgument,
    out: Annotated[Path, typer.Option(help="Engines are written to OUT/<engine>.")],
    engine: Annotated[str, typer.Option(help="Engines to build, by comma.")] = "ort-fp32,ort-int8",
    calibration: Annotated[
        OptionalPath,
        typer.Option(help="Recorded observations (.npz file or folder of them) for int8."),
    ] = None,
    format: Format = "auto",
    cameras: Cameras = None,
    image_size: ImageSize = None,
    heads: Heads = None,
    color: Color = None,
    fps: Fps = None,
    dataset: Dataset = None,
) -> None:
    """Turn a checkpoint into engines, each with its error against torch."""
    from actd.build.export import export_checkpoint
    from actd.policy.hints import read_hints

    hints = read_hints(
        format=format,
        cameras=cameras,
        image_size=image_size,
        heads=heads,
        color=color,
        fps=fps,
        dataset=dataset,
    )
    export_checkpoint(checkpoint, out, names(engine), calibration, typer.echo, hints=hints)
    first = out / names(engine)[0]
    # what needed explaining once would need it again; the engine speaks for itself
    init = first if hints.particular() else f"{checkpoint} --engine {first}"
    typer.echo(f"next: actd bench {first}   or   actd init {init}")


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
    from actd.benchmark.run import run_benchmark

    report = run_benchmark(
        names(engine),
        folders or [],
        checkpoint=checkpoint,
        rounds=rounds,
        threads=threads,
        report=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict()))
    else:
        show(report.table())
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
