"""What the commands share: options, and how they speak to a daemon and to people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from actd.errors import ConfigError, UsageError
from actd.redaction import redact

if TYPE_CHECKING:
    from actd.client import Operator
    from actd.config import Link

DEFAULT_CONFIG = Path("actd.yaml")

# typer reads annotations at run time, on 3.10 too, hence Optional.
OptionalPath = Optional[Path]  # noqa: UP045
ConfigArgument = Annotated[
    Path, typer.Argument(help="Deployment file.", show_default=True, readable=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ConfigOption = Annotated[
    OptionalPath,
    typer.Option(
        "--config",
        "-c",
        help="Deployment file that names the robot and its ports (default: ./actd.yaml if there "
        "is one, else whoever has ports 9871-9874).",
    ),
]
HostOption = Annotated[str, typer.Option(help="Where the daemon runs.")]


def names(text: str) -> list[str]:
    """Engine names from a comma list. Raises UsageError when there is none."""
    parts = [name.strip() for name in text.split(",") if name.strip()]
    if not parts:
        raise UsageError("--engine: no engine named; give for example ort-fp32,ort-int8")
    return parts


def numbers(option: str, text: str | None) -> list[int] | None:
    """Numbers from a list such as `0,3,10-20`, rising; None for none. Raises UsageError."""
    from actd.ranges import parse_ranges

    if text is None:
        return None
    try:
        return sorted(parse_ranges(text))
    except ValueError:
        raise UsageError(f"{option}: found {text!r}; give for example 0,3,10-20") from None


def link(config: Path | None, *, trusting: bool = False) -> Link:
    """Which robot is meant, and its ports: from `config`, else ./actd.yaml, else the usual ones.

    What cannot be read of it is a ConfigError, or with `trusting` a warning: a stop goes to the
    robot that can be reached, whatever is wrong in a file.
    """
    from actd.config import Link, link_of

    if config is None and not DEFAULT_CONFIG.exists():
        return Link()
    path = config or DEFAULT_CONFIG
    try:
        target = link_of(path)
    except ConfigError as error:
        if config is not None:
            raise
        target = Link(problems=(str(error),))
    if not target.problems:
        return target
    if not trusting:
        raise ConfigError("\n".join(target.problems))
    whom = target.robot or "whatever robot is there"
    warn([*target.problems, f"{path}: going on with {whom} at port {target.ports.control}"])
    return target


def operator(config: Path | None, host: str, *, trusting: bool = False) -> Operator:
    """A connection to the daemon of one robot, as `link`; close it, or use it in `with`."""
    from actd.client import Operator

    target = link(config, trusting=trusting)
    return Operator(host, target.ports, robot=target.robot)


def warn(lines: Iterable[str]) -> None:
    """Print warnings where they do not mix with the answer."""
    for line in lines:
        typer.echo(f"warning: {redact(line)}", err=True)


def show(renderable: Any) -> None:
    """Print a rich renderable."""
    from rich.console import Console

    # A name from a file may look like markup.
    Console(markup=False).print(renderable)
