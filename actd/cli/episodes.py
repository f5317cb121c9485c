"""Scored episodes: an operator says where one begins and how it ended."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from actd.cli.app import app
from actd.cli.shared import AsJson, ConfigOption, HostOption, operator, warn

episode_app = typer.Typer(
    help="Score what the policy does: start an episode, then say how it ended.",
    no_args_is_help=True,
)
app.add_typer(episode_app, name="episode")


@episode_app.command()
def start(
    place: Annotated[
        str,
        typer.Option(
            help="A name or number of how the task's things lie: episodes of other engines at the "
            "same place are compared with this one."
        ),
    ] = "",
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """Open an episode; it lasts from the first armed tick to its score."""
    from actd.runtime.episodes import checked_place

    _order("start", config, host, as_json, checked_place(place))


@episode_app.command()
def success(
    config: ConfigOption = None, host: HostOption = "127.0.0.1", as_json: AsJson = False
) -> None:
    """Score the open episode: the task was done."""
    _order("success", config, host, as_json)


@episode_app.command()
def failure(
    config: ConfigOption = None, host: HostOption = "127.0.0.1", as_json: AsJson = False
) -> None:
    """Score the open episode: the task was not done."""
    _order("failure", config, host, as_json)


@episode_app.command()
def discard(
    config: ConfigOption = None, host: HostOption = "127.0.0.1", as_json: AsJson = False
) -> None:
    """Leave the open episode out of the score and of the dataset."""
    _order("discard", config, host, as_json)


def _order(
    do: str, config: ConfigOption, host: HostOption, as_json: AsJson, place: str = ""
) -> None:
    from actd.cli.status import episodes_in_words
    from actd.link.request import as_sent

    with operator(config, host) as daemon:
        answer = daemon.episode(do, place)
    with as_sent():
        episodes = answer["episodes"]
        typer.echo(json.dumps(episodes) if as_json else episodes_in_words(episodes))
        warn(map(str, answer.get("warnings", ())))
