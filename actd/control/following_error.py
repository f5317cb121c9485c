"""Whether the arm is where it was told to be: measured positions against commands.

Pure. A joint that is further from its command than its distance for longer than `follow_ns`
does not follow: it is blocked, without torque, or driven by somebody else. Positions that do not
change at all while the command moves are not measured any more, whatever their time stamp says.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector

# A command that moved by this share of the distance moves a real arm, if only by its last digit.
_SHARE = 0.1


class FollowingError:
    """What is remembered of the arm behind the commands.

    `distance` (action_dim,): inf for a joint that is not compared.
    """

    def __init__(self, distance: Vector, follow_ns: int, frozen_ns: int) -> None:
        self._distance = distance
        self._follow_ns = follow_ns
        self._frozen_ns = frozen_ns
        self._away_since_ns: int | None = None
        self._positions: Vector | None = None
        # The command when the positions changed last, and since when it has been elsewhere.
        self._command: Vector | None = None
        self._moved_ns: int | None = None
        self.joint: int | None = None
        """The joint that does not follow, None while all do."""
        self.frozen = False
        """Whether the positions stand still although the command moves."""

    @property
    def unmoved(self) -> bool:
        """Whether the positions have not changed since the command moved."""
        return self._moved_ns is not None

    def look(self, due_ns: int, positions: Vector | None, command: Vector | None) -> None:
        """Take in one tick: measured positions and last command, each (action_dim,)."""
        self._look_at_change(due_ns, positions, command)
        if positions is None or command is None:
            self.forget()
            return
        excess = np.abs(positions - command) - self._distance
        worst = int(excess.argmax())
        if excess[worst] <= 0.0:
            self.forget()
            return
        if self._away_since_ns is None:
            self._away_since_ns = due_ns
        if due_ns - self._away_since_ns >= self._follow_ns:
            self.joint = worst

    def begin_anew(self) -> None:
        """Commands begin where the arm is: the way there was none of theirs."""
        self._command, self._moved_ns = None, None
        self.forget()

    def forget(self) -> None:
        """The arm is where it was told to be, or is told nothing."""
        self._away_since_ns, self.joint = None, None

    def _look_at_change(
        self, due_ns: int, positions: Vector | None, command: Vector | None
    ) -> None:
        before = self._positions
        self._positions = positions
        if positions is None or before is None or command is None or (positions != before).any():
            self._command, self._moved_ns, self.frozen = command, None, False
            return
        if self._command is None:
            self._command = command
        moved = float((np.abs(command - self._command) / self._distance).max())
        # Not since the positions changed last: an arm at rest may read the same for hours.
        if self._moved_ns is None and moved > _SHARE:
            self._moved_ns = due_ns
        self.frozen = self._moved_ns is not None and (0 < self._frozen_ns < due_ns - self._moved_ns)
