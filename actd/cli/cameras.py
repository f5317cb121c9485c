"""What is plugged in, what it shows, and which of the policy's cameras it is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actd.cli.app import app
from actd.cli.shared import AsJson, OptionalPath, warn
from actd.errors import CameraError

if TYPE_CHECKING:
    from actd.camera_setup import CameraMatch
    from actd.cameras.listing import ConnectedCamera, Listing
    from actd.cameras.v4l2 import Mode

DEFAULT_FOLDER = Path("outputs/cameras")


@app.command()
def cameras(
    save: Annotated[OptionalPath, typer.Option(help="Folder for a picture of each camera.")] = None,
    match: Annotated[
        OptionalPath,
        typer.Option(help="LeRobotDataset whose cameras to find among those plugged in."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every camera that is plugged in; save what each shows; map them to a dataset's."""
    from actd import camera_setup
    from actd.cameras.listing import connected_cameras, hints

    trained = camera_setup.trained_cameras(match) if match else []
    listing = connected_cameras()
    answer: dict[str, Any] = {"cameras": [_data(camera) for camera in listing.cameras]}
    answer["searched"] = list(listing.searched)
    if not listing.cameras:
        if save or match:
            raise CameraError(_nothing(listing))
        typer.echo(json.dumps(answer) if as_json else _nothing(listing))
        return
    if not as_json:
        for camera in listing.cameras:
            _show(camera)
        warn(hints(listing))
    matches, files = [], []
    if save or match:
        pictures = camera_setup.take_pictures(listing.usable, trained[0] if trained else None)
        warn(picture.problem for picture in pictures if picture.image is None)
        if not any(picture.image is not None for picture in pictures):
            raise CameraError("cameras: none gave a picture; see the reasons above")
        if save:
            files += list(camera_setup.save_pictures(pictures, save))
        if match:
            matches = camera_setup.match_cameras(trained, pictures)
            files.append(camera_setup.save_sheet(matches, pictures, save or DEFAULT_FOLDER))
    if as_json:
        answer["matches"] = [_match_data(one) for one in matches]
        answer["files"] = [str(file) for file in files]
        typer.echo(json.dumps(answer))
        return
    _show_matches(matches)
    for file in files:
        typer.echo(f"{file}: written")
    if match:
        words = ["actd", "init", "ENGINE", "--match", str(match)]
        typer.echo(f"next: look at {files[-1]}, then {shlex.join(words)}")
    elif not save:
        typer.echo("next: actd cameras --save outputs/cameras   or   actd cameras --match DATASET")


def _nothing(listing: Listing) -> str:
    return (
        f"cameras: none found; looked for {', '.join(listing.searched)}; plug one in, or see "
        "`actd docs cameras` for network cameras"
    )


def _show(camera: ConnectedCamera) -> None:
    typer.echo(camera.label)
    places = [camera.name, str(camera.node or ""), camera.port]
    typer.echo("  " + ", ".join(filter(None, places)))
    if camera.problem:
        typer.echo(f"  {camera.problem}")
    for line in mode_lines(camera.modes):
        typer.echo(f"  {line}")
    if camera.modes and not camera.colour_modes:
        typer.echo("  no colour: the infrared or depth node of a camera")
    for holder in camera.holders:
        typer.echo(f"  in use by {holder}")


def mode_lines(modes: Sequence[Mode]) -> list[str]:
    """A line for each pixel format: its sizes, each with its fastest rate."""
    lines: dict[str, list[str]] = {}
    for mode in modes:
        rate = f"@{mode.fps[0]:g}" if mode.fps else ""
        lines.setdefault(mode.fourcc, []).append(f"{mode.width}x{mode.height}{rate}")
    return [f"{fourcc} {' '.join(sizes)}" for fourcc, sizes in lines.items()]


def _show_matches(matches: Sequence[CameraMatch]) -> None:
    from actd.camera_setup import match_words
    from actd.config.writing import camera_line

    for match in matches:
        typer.echo(f"{match.trained.name}: {match_words(match)}")
    lines = [camera_line(one.trained.name, one.config) for one in matches if one.config]
    for line in ["cameras:", *lines] if lines else []:
        typer.echo(line)


def _data(camera: ConnectedCamera) -> dict[str, Any]:
    return {
        "name": camera.name,
        "config": _config_data(camera.config),
        "node": str(camera.node) if camera.node else None,
        "port": camera.port,
        "modes": [mode._asdict() for mode in camera.modes],
        "colour": camera.is_usable,
        "holders": [holder._asdict() for holder in camera.holders],
        "problem": camera.problem,
    }


def _match_data(match: CameraMatch) -> dict[str, Any]:
    from dataclasses import asdict

    from actd.camera_setup import match_words

    choice = match.choice
    movement = choice.likeness.movement if choice else None
    return {
        "camera": match.trained.name,
        "config": _config_data(match.config),
        "by": choice.by if choice else None,
        "correlation": choice.likeness.correlation if choice else None,
        "movement": asdict(movement) if movement else None,
        "says": match_words(match),
    }


def _config_data(config: Any) -> dict[str, Any] | None:
    return (
        config.model_dump(mode="json", exclude_defaults=True) | {"type": config.type}
        if config
        else None
    )
