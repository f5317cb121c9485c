"""An operator's leader arm leads the arm: whose places are commanded, and when that ends.

Pure. The leader may begin to lead only where it is near the arm, and leads no more as soon as its
place is not known or cannot be right: it is stale, or a joint is all at once somewhere else. Where
the command goes from there is the state machine's; how fast it follows is the limiter's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actd.arrays import Vector
from actd.control.staleness import diagnostic, is_stale


def leader_problem(leader: Vector | None, age_ns: int | None, limit_ns: int) -> str:
    """Why the leader's place (action_dim,) is not known, "" where it is."""
    if leader is None or age_ns is None:
        return "no leader sends its positions; give actd drive --teleop.type or --teleop"
    return diagnostic("the leader", age_ns, limit_ns) if is_stale(age_ns, limit_ns) else ""


class Takeover:
    """One takeover. `leader` (action_dim,): its newest place, which is commanded. `lost`: why the
    leader leads no more, "" while it does.

    `distance` (action_dim,): how far a joint of the leader may go from one reading to the next.
    """

    def __init__(self, joints: Sequence[str], leader: Vector, distance: Vector) -> None:
        self._joints = joints
        self._distance = distance
        self.leader = leader
        self.lost = ""

    def look(self, leader: Vector | None, age_ns: int | None, limit_ns: int) -> bool:
        """Take in one tick. Returns whether the leader still leads."""
        self.lost = leader_problem(leader, age_ns, limit_ns)
        if self.lost or leader is None:
            return False
        moved = np.abs(leader - self.leader)
        far = np.flatnonzero(moved > self._distance)
        if far.size:
            j = int(far[0])
            self.lost = (
                f"joint {self._joints[j]}: the leader jumped by {moved[j]:.3g} (limit "
                f"{self._distance[j]:.3g}); check its cable and its calibration"
            )
            return False
        self.leader = leader
        return True
