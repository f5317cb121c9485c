"""How the robot's own program brings the arms back to the start pose, once they are released."""

from __future__ import annotations

from collections.abc import Mapping

from actd.sim.aloha import JOINTS

HOMING_S, SETTLE_S = 1.8, 0.4


class Homing:
    """A minimum-jerk motion from where the arms are at `start_s` to the start pose."""

    def __init__(
        self, here: Mapping[str, float], home: Mapping[str, float], start_s: float
    ) -> None:
        self._here, self._home, self._start_s = here, home, start_s

    def targets(self, t_s: float) -> dict[str, float]:
        """Targets of all joints at `t_s`."""
        done = min(1.0, max(0.0, (t_s - self._start_s) / HOMING_S))
        share = 10 * done**3 - 15 * done**4 + 6 * done**5
        here, home = self._here, self._home
        return {name: here[name] + share * (home[name] - here[name]) for name in JOINTS}

    def is_over(self, t_s: float) -> bool:
        """Whether the arms have been in the start pose for a moment."""
        return t_s - self._start_s >= HOMING_S + SETTLE_S
