"""When the demo's operator gives which order: one attempt at the task after the other.

Pure. An attempt ends when the task is done or takes too long: hold, then reset, which releases the
arms; the robot's own program brings them home; then arm again. An operator at a real robot would do
the same.
"""

from __future__ import annotations

from typing import Literal

Order = Literal["arm", "hold", "reset"]

ATTEMPT_S = 10.0
"""After that an attempt is given up; gym-aloha's episodes take 8 s."""
REST_S = 0.6
"""From an order to hold until the arms are certainly at rest."""
_ORDERED = "operator:"
FAULTS_MAX = 3
"""So many faults without a success in between end the demo."""


class Attempts:
    """The operator of one run. `faults` counts all of them, `reason` is why the last was."""

    def __init__(self) -> None:
        self.faults = 0
        self.reason = ""
        self._faults_in_a_row = 0
        self._successes = 0
        self._mode = ""
        self._since_s = 0.0
        self._is_held = False
        self.interrupted = ""
        """What another operator has ordered: the demo does not undo it. "" usually."""

    @property
    def is_over(self) -> bool:
        """Whether the arms fault again and again."""
        return self._faults_in_a_row >= FAULTS_MAX

    def next_order(
        self, mode: str, reason: str, stage: str, successes: int, t_s: float
    ) -> Order | None:
        """What to order now, at `t_s`.

        mode, reason: the daemon's. stage, successes: the referee's (`actd.sim.referee`).
        """
        if mode != self._mode:
            self._mode, self._since_s = mode, t_s
            theirs = mode in ("HOLD", "STOP") and reason.startswith(_ORDERED) and not self._is_held
            self.interrupted = reason if theirs else ""
            if mode in ("FAULT", "STOP") and not theirs:
                self.faults, self.reason = self.faults + 1, reason
                self._faults_in_a_row += 1
        if successes > self._successes:
            self._successes, self._faults_in_a_row = successes, 0
        elapsed_s = t_s - self._since_s
        if self.interrupted:
            return None
        if mode == "ARMED" and (stage == "done" or elapsed_s > ATTEMPT_S):
            self._is_held = True
            return "hold"
        if mode == "HOLD" and self._is_held:  # one after a gap ends by itself
            return "reset" if elapsed_s > REST_S else None
        if mode in ("FAULT", "STOP"):
            return "reset" if elapsed_s > REST_S else None
        if mode == "IDLE":
            self._is_held = False
            return "arm" if stage == "home" else None
        return None
