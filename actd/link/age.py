"""How old a message is, on one computer and between two.

Time stamps are CLOCK_BOOTTIME, which goes on while a computer is suspended; `clock_id` names
the computer's clock. With one clock at both ends ages are exact. Between two clocks, `arrival -
stamp` is an unknown offset plus the time on the way: the smallest seen lately is the link at
its best, and a message is as old as it took longer than that. What such an age leaves out is
the best time itself, and at most the clocks' drift over 20 s (4 ms at 200 ppm).
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Two cores may disagree about the time, though never by so much.
_FUTURE_NS = 5_000_000
_SPAN_NS = 10_000_000_000
# Half a period of the fastest tick.
_BETTER_NS = 500_000
_UNKNOWN_NS = 1 << 80


def boottime_ns() -> int:
    """CLOCK_BOOTTIME of this computer, in ns: monotonic, and it goes on during suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@cache
def clock_id() -> str:
    """The name of this computer's CLOCK_BOOTTIME, 16 characters; "" (unknown) without /proc."""
    try:
        return _BOOT_ID.read_text().replace("-", "")[:16]
    except OSError:
        return ""


class MessageAge:
    """Dates the messages of one sender; pure, its caller reads the clock.

    own_clock: the receiver's `clock_id()`.
    """

    def __init__(self, own_clock: str) -> None:
        self._own_clock = own_clock
        self.forget()

    def forget(self) -> None:
        """Begin anew: the sender was started again, or is another one."""
        self._clock: str | None = None
        # The smallest offset of the sender's 10 s from `_since_ns`, and of the 10 s before.
        self._since_ns = 0
        self._best_ns = self._best_before_ns = _UNKNOWN_NS

    def of(self, clock: str, t_boot_ns: int, arrival_ns: int) -> int | None:
        """Age in ns (>= 0) at `arrival_ns`, the receiver's BOOTTIME; None: cannot be dated yet.

        Of one clock, a stamp from the future cannot be dated. Of two, the first message cannot,
        nor one that shows that the link's best was not known yet.
        """
        offset_ns = arrival_ns - t_boot_ns
        if clock and clock == self._own_clock:
            return max(0, offset_ns) if offset_ns >= -_FUTURE_NS else None
        # By the sender's time: to a receiver that slept, messages from before its sleep must
        # look old, not like the first ones of a new stream.
        spans = (t_boot_ns - self._since_ns) // _SPAN_NS
        if clock != self._clock or spans not in (-1, 0, 1):
            self._clock, self._since_ns = clock, t_boot_ns
            self._best_ns, self._best_before_ns = offset_ns, _UNKNOWN_NS
            return None
        if spans == 1:
            self._since_ns += _SPAN_NS
            self._best_ns, self._best_before_ns = _UNKNOWN_NS, self._best_ns
        known_ns = min(self._best_ns, self._best_before_ns)
        self._best_ns = min(self._best_ns, offset_ns)
        # Messages that waited somewhere come in a burst: a period apart by their stamps and
        # hardly at all in arrival, so that each seems to be faster than all before.
        if offset_ns < known_ns - _BETTER_NS:
            return None
        return max(0, offset_ns - known_ns)
