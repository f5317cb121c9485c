"""When the next tick is due: absolute deadlines; an overrun skips slots and counts them."""

from __future__ import annotations


class Schedule:
    """Deadlines at `start + k * period`. A late loop loses slots; it never bursts to catch up.

    Reads no clock. Times and periods are nanoseconds.
    """

    def __init__(self, period_ns: int, start_ns: int) -> None:
        self.period_ns = period_ns
        self.due_ns = start_ns
        self.missed = 0

    def arrive(self, now_ns: int) -> int:
        """Settle on the slot that `now_ns` lies in; returns how late the loop came, in ns.

        Slots whose successor is due already are missed: the command each would have carried
        is replaced by this one. Lateness counts from the slot that was waited for.
        """
        late_ns = now_ns - self.due_ns
        skipped = max(0, late_ns // self.period_ns)
        self.due_ns += skipped * self.period_ns
        self.missed += skipped
        return late_ns

    def advance(self) -> None:
        """Wait for the next slot from now on."""
        self.due_ns += self.period_ns
