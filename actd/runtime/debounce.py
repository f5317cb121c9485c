"""Whether something is wrong for long enough to say so, or right for long enough to say so.

Pure: keeps what flickers from being announced at every turn.
"""

from __future__ import annotations


class Debounce:
    """Begins after `begin_ns` of wrong without a break, ends after `end_ns` of right."""

    def __init__(self, begin_ns: int, end_ns: int) -> None:
        self._patience_ns = {False: begin_ns, True: end_ns}
        self._differs_since_ns: int | None = None
        self.lasts = False

    def look(self, wrong: bool, now_ns: int) -> bool:
        """Take in how it is at `now_ns`; returns whether the outage just began or ended."""
        if wrong == self.lasts:
            self._differs_since_ns = None
            return False
        if self._differs_since_ns is None:
            self._differs_since_ns = now_ns
        if now_ns - self._differs_since_ns < self._patience_ns[self.lasts]:
            return False
        self.lasts, self._differs_since_ns = wrong, None
        return True
