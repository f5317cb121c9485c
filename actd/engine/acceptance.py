"""Whether an engine is exact enough: the rule, pure.

A policy is itself off from what people recorded. An engine is good enough when it adds a small part
to that error, and never is far from torch; where no recorded actions are at hand, when its errors
against torch are within fixed limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from actd.engine.recipe import Tolerance
from actd.engine.verify import Parity

# Below this part of the policy's own error the figures say nothing.
_NOTHING = 0.0005


@dataclass(frozen=True, slots=True)
class AddedError:
    """Mean distances (L1) from recorded actions over joints and steps, in standard deviations.

    `policy`: of torch in float32, the policy's own error; `engine`: of the engine on the same
    frames, out of `episodes` whole episodes. `unseen`: the training is known to have left them out;
    otherwise it may have used them, and the policy's own error is larger in use.
    """

    policy: float
    engine: float
    episodes: int
    unseen: bool

    @property
    def share(self) -> float:
        """What the engine adds, as a part of the policy's own error; negative if it is nearer."""
        if self.policy > 0:
            return self.engine / self.policy - 1
        return 0.0 if self.engine == 0 else inf

    @property
    def text(self) -> str:
        """As a sentence: `adds 0.4 % to the policy's own error (0.1131 → 0.1136 std, ...)`."""
        share = f"{100 * self.share:.1f} %" if self.share >= _NOTHING else "nothing"
        plural = "" if self.episodes == 1 else "s"
        episodes = (
            f"{self.episodes} unseen episode{plural}"
            if self.unseen
            else f"{self.episodes} episode{plural} that training may have seen"
        )
        return (
            f"adds {share} to the policy's own error "
            f"({self.policy:.4f} → {self.engine:.4f} std, {episodes})"
        )


def tolerance_excess(parity: Parity, tolerance: Tolerance, added: AddedError | None = None) -> str:
    """How an engine exceeds a tolerance, as text; empty if it does not.

    `added`: what it adds to the policy's own error, None where no action was recorded.
    """
    largest = (
        f"worst joint {parity.worst_joint} is off by {parity.max:.3g} "
        f"({parity.max_std:.3g} std, allowed {tolerance.max_std:g})"
    )
    # negated, so that an error that is not a number fails too
    if added is not None and tolerance.added_error is not None:
        if added.share <= tolerance.added_error and parity.max_std <= tolerance.max_std:
            return ""
        return f"{added.text}, allowed {100 * tolerance.added_error:g} %; {largest}"
    if parity.p99_std <= tolerance.p99_std and parity.max_std <= tolerance.max_std:
        return ""
    return (
        f"{largest}, p99 {parity.p99_std:.3g} std (allowed {tolerance.p99_std:g}) "
        f"on {parity.observations} observations"
    )
