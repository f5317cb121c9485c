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

    def advance(self, now_ns: int) -> int:
        """Move to the next slot after `now_ns` that has not passed; returns how many were skipped.

        A slot counts as missed once the one after it is due: the command it would have
        carried has been replaced.
        """
        self.due_ns += self.period_ns
        skipped = max(0, (now_ns - self.due_ns) // self.period_ns)
        self.due_ns += skipped * self.period_ns
        self.missed += skipped
        return skipped
