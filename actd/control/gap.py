"""When a gap in what drives the arm may end by itself: soon, seldom, and with the same arm.

Pure: times are given.
"""

from __future__ import annotations

from typing import NamedTuple

from actd.control.tick import Inputs


class Engagement(NamedTuple):
    """What an operator allowed to move: `source` and `openings` as in `Inputs`."""

    source: int = 0
    openings: int = 0

    def changed(self, inputs: Inputs, *, cameras: bool) -> str:
        """Why that is not there any more, "" if it is: another arm, or another camera.

        `cameras`: whether those matter.
        """
        if inputs.rivals:
            return "two programs send the robot's state; stop one of them"
        if inputs.source != self.source:
            return "the robot's controller was restarted, or another one took its place"
        if cameras and inputs.openings != self.openings:
            return "a camera was reopened; check that it is still the same one"
        return ""


class GapBudget:
    """How much gap adds up: a stream that comes and goes is as bad as one that is gone.

    Every gap costs its time, and every one but the first a little more; the debt is forgiven
    slowly.
    """

    _EACH_NS = 250_000_000
    _FORGIVEN = 1 / 15  # a full budget within half a minute of fault_after 2 s

    def __init__(self, most_ns: int) -> None:
        self._most_ns = most_ns + self._EACH_NS
        self._debt_ns = 0.0

    @property
    def spent(self) -> bool:
        """Whether there is no more time for gaps."""
        return self._debt_ns > self._most_ns

    def begin(self) -> None:
        """A gap begins."""
        self._debt_ns += self._EACH_NS

    def pass_time(self, elapsed_ns: int, *, gap: bool) -> None:
        """Time has passed, in a gap or not."""
        change = elapsed_ns if gap else -self._FORGIVEN * elapsed_ns
        self._debt_ns = max(0.0, self._debt_ns + change)

    def clear(self) -> None:
        """An operator has looked at it."""
        self._debt_ns = 0.0
