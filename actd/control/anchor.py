"""Where commands begin: at rest, at the measured positions of the arm.

Also after everything that may have left the arm elsewhere: a silence, another controller, a hand
that moved it while it rested.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector
from actd.control.following_error import FollowingError
from actd.control.limiter import JointLimiter
from actd.control.limits import Kind, Limits

# So often a resting command goes to where the arm was moved to. An arm that is away again each
# time is not moved but does not hold where it is told to, and would be led on and on.
_FOLLOWED_MAX = 3


class Anchor:
    """Begins the limiter's commands where the arm is; without `is_set` nothing may be commanded.

    `has_commanded`: whether the arm was ever commanded.
    """

    def __init__(
        self,
        limiter: JointLimiter,
        following_error: FollowingError,
        limits: Limits,
        kinds: tuple[Kind, ...],
        distance: Vector,
    ) -> None:
        self._limiter = limiter
        self._following_error = following_error
        self._limits = limits
        self._distance = distance
        self._gripper = np.array([kind == "gripper" for kind in kinds], np.bool_)
        self._placed = np.array([kind == "position" for kind in kinds], np.bool_)
        self._allowed = True
        self._followed = 0  # how often the resting command went to the arm
        self.is_set = False
        self.has_commanded = False

    @property
    def is_refused(self) -> bool:
        """Whether the arm does not stay where it was followed to."""
        return self._followed > _FOLLOWED_MAX

    def is_elsewhere(self, positions: Vector | None) -> bool:
        """Whether the arm at `positions` (action_dim,) cannot be the one commanded so far."""
        if positions is None:
            return False
        return bool((np.abs(positions - self._limiter.command) > self._distance).any())

    def renew(self, *, allowed: bool) -> None:
        """A phase begins, in which commands may begin or not."""
        self._allowed, self._followed = allowed, 0
        self.is_set = self.is_set and allowed

    def release(self) -> None:
        """The arm is not known to be where it was commanded: commands begin anew."""
        self.is_set = False

    def begin(self, positions: Vector) -> None:
        """Begin at rest at `positions` (action_dim,), unless commands have begun or may not."""
        if not self.is_set and self._allowed and not self.is_refused:
            self._begin(positions)

    def follow(self, positions: Vector) -> bool:
        """Let the resting command go to where the arm was moved. False, and no further command,
        where that is not allowed.
        """
        self._followed += 1
        if not self.is_refused and self._may_rest(positions):
            self._begin(positions)
            return True
        self._followed = _FOLLOWED_MAX + 1
        self.is_set = False
        return False

    def _begin(self, positions: Vector) -> None:
        # A gripper that holds something goes on holding.
        if self.has_commanded and self._gripper.any():
            positions = np.where(self._gripper, self._limiter.command, positions)
        self._limiter.reset(positions)
        self._following_error.begin_anew()
        self.is_set = True

    def _may_rest(self, positions: Vector) -> bool:
        """Whether a command may rest there: within the limits, or where it rests already."""
        limits, command = self._limits, self._limiter.command
        low, high = np.minimum(limits.lower, command), np.maximum(limits.upper, command)
        inside = (positions >= low) & (positions <= high)
        return bool((inside | ~self._placed).all())
