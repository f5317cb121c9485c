"""Being asked to end: the first signal asks for the way out, a second one cuts it short.

A driver that blocks in a system call would never look at a flag, so on the way out an alarm breaks
into every cycle that takes too long.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BLOCKED_S = 3.0


class CutShort(KeyboardInterrupt):
    """Raised in the main thread wherever it is; passes every `except Exception`."""


class Ending:
    """`requested`: whether to leave. `graceful` says whether the first signal may wait for that."""

    def __init__(self) -> None:
        self.requested = ""
        self.graceful = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals until the block ends. Main thread only."""
        before = {number: signal.signal(number, self._signal) for number in _SIGNALS}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._alarm)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave(self) -> None:
        """The way out begins here, whoever asked for it or not."""
        self.requested = self.requested or "end"
        self.alive()

    def alive(self) -> None:
        """On the way out: what comes next may take as long again."""
        if self.requested:
            signal.setitimer(signal.ITIMER_REAL, _BLOCKED_S)

    def _signal(self, number: int, _: FrameType | None) -> None:
        first = not self.requested
        self.requested = signal.Signals(number).name
        if not first or not self.graceful:
            raise CutShort(self.requested)
        self.alive()

    def _alarm(self, *_: object) -> None:
        raise CutShort(f"the driver did not return within {_BLOCKED_S:g} s")
