"""What the commands share: options, and how they speak to a daemon and to people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from actd.errors import UsageError

if TYPE_CHECKING:
    from actd.client import Operator
    from actd.config import Config
    from actd.link.sockets import Ports

DEFAULT_CONFIG = Path("actd.yaml")

# typer reads annotations at run time, on 3.10 too, hence Optional.
OptionalPath = Optional[Path]  # noqa: UP045
ConfigArgument = Annotated[Path, typer.Argument(help="Deployment file.", show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ConfigOption = Annotated[
    OptionalPath,
    typer.Option(
        "--config", "-c", help="Deployment file that says the ports (default: 9871-9874)."
    ),
]
HostOption = Annotated[str, typer.Option(help="Where the daemon runs.")]


def names(text: str) -> list[str]:
    """Engine names from a comma list. Raises UsageError when there is none."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise UsageError("--engine: no engine named: give for example ort-fp32,ort-int8")
    return found


def numbers(option: str, text: str | None) -> list[int] | None:
    """Numbers from a list such as `0,3,10-20`, rising; None for none. Raises UsageError."""
    from actd.runtime.cores import parse_list

    if text is None:
        return None
    try:
        return sorted(parse_list(text))
    except ValueError:
        raise UsageError(f"{option}: found {text!r}: give for example 0,3,10-20") from None


def ports(config: Path | None) -> Ports | None:
    """The ports a deployment file says, or None without one."""
    if config is None:
        return None
    from actd.config import load

    settings: Config = load(config)
    return settings.link.ports


def operator(config: Path | None, host: str) -> Operator:
    """A connection to the daemon's control socket; close it, or use it in `with`."""
    from actd.client import Operator

    return Operator(host, ports(config))


def show(renderable: Any) -> None:
    """Print a rich renderable."""
    from rich.console import Console

    Console().print(renderable)
