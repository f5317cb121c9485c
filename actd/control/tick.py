"""One control tick as data: what came in, and what is commanded and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from actd.arrays import Vector
from actd.control.chunks import ActionChunk
from actd.control.state import Event
from actd.mode import Mode


class Inputs(NamedTuple):
    """What is known at one tick. Ages are None for a stream that never delivered.

    `camera_unchanged_ns` is how long each camera has shown the same image; `controller_age_ns`
    how long ago the newest action was sent that the robot has acted upon; `source` counts the
    programs that have sent its state, and `rivals` says that two do so now; `openings` counts how
    often cameras were opened; `suspended_ns` is for how long the clock of `due_ns` has stood
    still since the last tick. `leader` (action_dim,) is where an operator's leader arm is, None
    where none says it. `state_problem` is why messages of the robot were refused, in
    words, for words.
    """

    due_ns: int
    positions: Vector | None
    state_age_ns: int | None
    camera_ages_ns: Mapping[str, int | None]
    camera_unchanged_ns: Mapping[str, int]
    controller_age_ns: int | None
    source: int = 0
    rivals: bool = False
    openings: int = 0
    suspended_ns: int = 0
    chunks: tuple[ActionChunk, ...] = ()
    commands: tuple[tuple[int, Event], ...] = ()
    leader: Vector | None = None
    leader_age_ns: int | None = None
    state_problem: str = ""


class Answer(NamedTuple):
    """What became of an operator's command: "" when done, else every reason why not."""

    number: int
    error: str
    warnings: tuple[str, ...] = ()


class Progress(NamedTuple):
    """Of a move to a pose: the share of the way that is commanded, 0 to 1, and the time it still
    takes.
    """

    share: float
    left_ns: int


class Output(NamedTuple):
    """What the tick commands: `action` (action_dim,) or None while nothing is commanded.

    `rest` (action_dim,) is where that command would come to rest within `rest_ns`.
    `chunk_age_ns` is the age of the newest plan's observation, None without one. `reason` says
    why the arm is not driven by the policy; `move` is how far a move to a pose has come, None
    without one.
    """

    mode: Mode
    action: Vector | None
    rest: Vector | None
    rest_ns: int
    chunk: int
    chunk_age_ns: int | None
    n: int
    flags: int
    reason: str
    answers: tuple[Answer, ...]
    move: Progress | None = None
