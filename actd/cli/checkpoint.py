"""The options by which a command takes a checkpoint: the same ones for every such command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Optional, get_type_hints

import typer

# typer reads annotations at run time, on 3.10 too, hence Optional.
OptionalText = Optional[str]  # noqa: UP045

CheckpointArgument = Annotated[
    str,
    typer.Argument(help="ACT checkpoint: folder, training run, .ckpt file, or hub id owner/name."),
]

# What an original ACT does not say of itself; the rest serves any checkpoint.
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "format": (
        Annotated[str, typer.Option("--format", help="auto, lerobot or original.")],
        "auto",
    ),
    "cameras": (
        Annotated[
            OptionalText, typer.Option(help="Original ACT: its camera_names, by comma, in order.")
        ],
        None,
    ),
    "image_size": (
        Annotated[OptionalText, typer.Option(help="Original ACT: HEIGHTxWIDTH of its images.")],
        None,
    ),
    "heads": (
        Annotated[
            Optional[int],  # noqa: UP045
            typer.Option(min=1, help="Original ACT: attention heads (its own training uses 8)."),
        ],
        None,
    ),
    "color": (
        Annotated[
            OptionalText,
            typer.Option(help="Original ACT: channels it was trained on, rgb or bgr."),
        ],
        None,
    ),
    "fps": (
        Annotated[
            Optional[float],  # noqa: UP045
            typer.Option(help="Rate of the training data, where the checkpoint does not say."),
        ],
        None,
    ),
    "statistics": (
        Annotated[
            OptionalText,
            typer.Option(help="Of which dataset, where a checkpoint holds those of several."),
        ],
        None,
    ),
}


def with_overrides(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that describe a checkpoint; it receives them as `overrides`."""
    types = get_type_hints(command, include_extras=True)
    parameters = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=types[p.name])
        for p in inspect.signature(command).parameters.values()
        if p.name != "overrides"
    ]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=type_)
        for name, (type_, default) in _OPTIONS.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        from actd.policy.overrides import read_overrides

        overrides = read_overrides(**{name: given.pop(name) for name in _OPTIONS})
        command(overrides=overrides, **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
