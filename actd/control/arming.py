"""What is checked before the arm moves, in the words that an operator reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.limits import Limits
from actd.control.staleness import MaxAge, camera_diagnostics, diagnostic, is_stale
from actd.control.takeover import leader_problem
from actd.control.tick import Inputs
from actd.errors import SEPARATOR
from actd.trained_range import outside, smaller_unit

# Beyond the limits by more than this share of their range a value is no overshoot but another
# unit, another joint, or nonsense.
_FAR = 0.5
_NO_CHUNK = "no chunk covers this moment; see inference in `actd status`"


def plausible_range(limits: Limits) -> tuple[Vector, Vector]:
    """Smallest and largest value that may be meant, each (action_dim,)."""
    margin = _FAR * (limits.upper - limits.lower)
    return limits.lower - margin, limits.upper + margin


def unlike_training(
    joints: Sequence[str], positions: Vector, low: Vector, high: Vector
) -> tuple[str, ...]:
    """A sentence for every joint that is where the training data never were, and one for a unit
    that is not theirs.
    """
    units = smaller_unit(joints, positions, low, high)
    places = outside(joints, positions, low, high).values()
    sentences = [f"joint {words}" for words in places]
    return (*sentences, f"joints: {units}") if units else tuple(sentences)


class ChunkStatus(NamedTuple):
    """The age of the newest chunk, None without one, the oldest that may be followed, and the
    `action` (action_dim,) that chunks have for this moment.
    """

    age_ns: int | None
    limit_ns: int
    action: Vector | None


class ArmingChecks:
    """Arming checks of one arm; `rejected`: why the newest chunk was not taken, "" if it was."""

    def __init__(self, joints: Sequence[str], limits: Limits, start_distance: Vector) -> None:
        self._joints = joints
        self._limits = limits
        self._plausible = plausible_range(limits)
        self._start_distance = start_distance
        self.rejected = ""

    def take(self, actions: NDArray[Any]) -> bool:
        """Whether a chunk (chunk_size, action_dim) may be followed at all."""
        low, high = self._plausible
        # What is no number is not within.
        far = np.flatnonzero(~((actions >= low) & (actions <= high)).all(axis=0))
        self.rejected = ""
        if far.size:
            j = int(far[0])
            column, limits = actions[:, j], self._limits
            self.rejected = (
                f"joint {self._joints[j]}: the policy commands {float(column.min()):.3g} to "
                f"{float(column.max()):.3g}, far "
                f"outside its limits {limits.lower[j]:.3g} to {limits.upper[j]:.3g}; check units "
                "and the order of the joints"
            )
        return not far.size

    def streams(self, inputs: Inputs, limits: MaxAge, *, cameras: bool = True) -> list[str]:
        """A sentence for every stream that is not as it should be; of cameras only where those
        matter.
        """
        problems = []
        if is_stale(inputs.state_age_ns, limits.state_ns):
            problems.append(
                inputs.state_problem
                or diagnostic("robot state", inputs.state_age_ns, limits.state_ns)
            )
        if cameras:
            ages_ns, unchanged_ns = inputs.camera_ages_ns, inputs.camera_unchanged_ns
            problems += camera_diagnostics(ages_ns, unchanged_ns, limits)
        if inputs.rivals:
            problems.append("two programs send the robot's state; stop one of them")
        elif is_stale(inputs.controller_age_ns, limits.controller_ns):
            # What is wrong with its messages says more than that nothing is acknowledged.
            problems.append(inputs.state_problem or _lost(inputs.controller_age_ns, limits))
        return problems

    def chunk(self, status: ChunkStatus) -> list[str]:
        """A sentence where no chunk can be followed."""
        if is_stale(status.age_ns, status.limit_ns):
            return [self.rejected or diagnostic("the chunk", status.age_ns, status.limit_ns)]
        return [] if status.action is not None else [self.rejected or _NO_CHUNK]

    def first_command(self, inputs: Inputs, chunk: ChunkStatus, remedy: str) -> list[str]:
        """A sentence for every joint that is too far from where the policy starts."""
        if chunk.action is None or inputs.positions is None:
            return []
        first = "the policy's first command"
        return self.too_far(first, chunk.action, inputs.positions, remedy)

    def leader(self, inputs: Inputs, limits: MaxAge) -> list[str]:
        """Why the leader may not begin to lead: a sentence for it, or for every joint of it that is
        too far from the arm.
        """
        leader, positions = inputs.leader, inputs.positions
        problem = leader_problem(leader, inputs.leader_age_ns, limits.state_ns)
        if problem:
            return [inputs.state_problem or problem]
        if leader is None or positions is None:
            return []
        return self.too_far("the leader", leader, positions, "bring the leader to where the arm is")

    def standstill(self, positions: Vector | None, command: Vector, *, unmoved: bool) -> list[str]:
        """Why motion may not begin at `command` (action_dim,), the last one, a sentence each;
        `unmoved`: whether the measured positions have not changed since it moved.
        """
        problems = []
        if unmoved:
            problems.append(
                "the measured positions stand still since the command moved; `actd reset` first"
            )
        if positions is not None:
            # After a hold the arm may have been moved by hand, or sagged.
            problems += self.too_far("the held command", command, positions, "`actd reset` first")
        return problems

    def gap_reason(
        self,
        inputs: Inputs,
        limits: MaxAge,
        chunk: ChunkStatus | None,
        *,
        frozen: bool,
    ) -> str:
        """Why the arm may not be driven on; `frozen`: positions do not change with the command;
        `chunk` None: neither chunks nor cameras matter.
        """
        problems = self.streams(inputs, limits, cameras=chunk is not None)
        if frozen:
            problems.append("the measured positions stand still although the command moves")
        if chunk is not None and not problems:
            problems = self.chunk(chunk)
        return SEPARATOR.join(problems)

    def too_far(self, what: str, command: Vector, positions: Vector, remedy: str) -> list[str]:
        """A sentence for every joint whose command is further from the pose than it may start."""
        distance, allowed = np.abs(command - positions), self._start_distance
        return [
            f"joint {self._joints[j]}: {what} is {distance[j]:.3g} from the measured "
            f"position (limit {allowed[j]:.3g}); {remedy}"
            for j in np.flatnonzero(distance > allowed).tolist()
        ]


def _lost(age_ns: int | None, limits: MaxAge) -> str:
    if age_ns is None:
        return "no robot controller acknowledges the actions; start it"
    return (
        f"the robot's controller has acknowledged no action for {age_ns / 1e6:.0f} ms (limit "
        f"{limits.controller_ns / 1e6:.0f} ms); see whether it runs and is reached"
    )
