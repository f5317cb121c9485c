"""Counts attempts at the task, from what the arms do and what lies on the table.

Pure. An attempt begins when the arms are driven and ends when the task has been done for a moment
or the arms are released without that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from actd.mode import Mode

DONE_S = 0.5
"""So long the task stays done to count: a bar that is thrown up is not lifted."""


class Stage(str, Enum):
    """Where an attempt stands. HOME: the arms wait at the start pose for the next one."""

    HOME = "home"
    WORKING = "working"
    DONE = "done"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class Score:
    """Finished attempts, how many succeeded, and the stage of the present one."""

    stage: Stage = Stage.HOME
    attempts: int = 0
    successes: int = 0


class Referee:
    """Follows one run. `score` is as of the last `see`."""

    def __init__(self) -> None:
        self.score = Score()
        self._done_since_s: float | None = None

    def see(self, mode: Mode | None, t_s: float, *, is_done: bool, is_home: bool) -> None:
        """The newest mode on the wire (None: silence), and the table, at `t_s`."""
        score = self.score
        if not is_done:
            self._done_since_s = None
        elif self._done_since_s is None:
            self._done_since_s = t_s
        if score.stage is Stage.HOME and mode is Mode.ARMED:
            self.score = Score(Stage.WORKING, score.attempts, score.successes)
        elif score.stage is Stage.WORKING and self._is_done_at(t_s):
            self.score = Score(Stage.DONE, score.attempts + 1, score.successes + 1)
        elif score.stage is Stage.WORKING and mode is Mode.IDLE:
            self.score = Score(Stage.RETURNING, score.attempts + 1, score.successes)
        elif score.stage is Stage.DONE and mode is Mode.IDLE:
            self.score = Score(Stage.RETURNING, score.attempts, score.successes)
        elif score.stage is Stage.RETURNING and is_home:
            self.score = Score(Stage.HOME, score.attempts, score.successes)

    def _is_done_at(self, t_s: float) -> bool:
        return self._done_since_s is not None and t_s - self._done_since_s >= DONE_S
