"""When the next tick is due: absolute deadlines; an overrun skips slots and counts them."""

from __future__ import annotations

from fractions import Fraction


def period_of(rate_hz: float) -> Fraction:
    """The exact period of a rate, in nanoseconds: of 30 Hz it is 100 000 000 / 3."""
    return 1_000_000_000 / Fraction(rate_hz).limit_denominator(1_000_000)


class Schedule:
    """Deadlines at `start + k * period`, each to the nearest nanosecond.

    A period that is not whole does not drift: every deadline is computed from the start. A
    late loop loses slots; it never bursts to catch up. Reads no clock; times are nanoseconds.
    """

    def __init__(self, period_ns: Fraction | int, start_ns: int) -> None:
        self._numerator, self._denominator = Fraction(period_ns).as_integer_ratio()
        self._start_ns = start_ns
        self._slot = 0
        self.due_ns = start_ns
        self.missed = 0

    def arrive(self, now_ns: int) -> int:
        """Settle on the slot that is nearest to `now_ns`; returns how late the loop came, in ns.

        Slots before it are missed: the command each would have carried is replaced by this one.
        A tick that is late by more than half a period so counts for the next slot, and the one
        after it is never less than half a period away. Lateness counts from the slot that was
        waited for.
        """
        late_ns = now_ns - self.due_ns
        if late_ns > 0:
            doubled_ns = 2 * (now_ns - self._start_ns) * self._denominator + self._numerator
            slot = max(self._slot, doubled_ns // (2 * self._numerator))
            self.missed += slot - self._slot
            self._go_to(slot)
        return late_ns

    def advance(self) -> None:
        """Wait for the next slot from now on."""
        self._go_to(self._slot + 1)

    def _go_to(self, slot: int) -> None:
        self._slot = slot
        doubled = 2 * slot * self._numerator + self._denominator
        self.due_ns = self._start_ns + doubled // (2 * self._denominator)
