"""Being asked to end: the first signal asks for the way out, a second one cuts it short.

A signal does not break into a packet: what is cut short ends between two cycles. But a driver that
blocks in a system call would never look at a flag, so on the way out an alarm breaks into every
cycle that takes too long, and soon after a second signal.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BLOCKED_S, _HURRIED_S = 3.0, 0.5


class CutShort(KeyboardInterrupt):
    """Raised in the main thread wherever it is; passes every `except Exception`."""


class Ending:
    """`requested`: whether to leave. `graceful` says whether the first signal may wait for that."""

    def __init__(self) -> None:
        self.requested = ""
        self.graceful = False
        self._cut = ""  # the signal that cuts it short

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
        """The way out begins here, whoever asked for it or not, or a step of it that must be."""
        self.requested = self.requested or "end"
        self._cut = ""
        signal.setitimer(signal.ITIMER_REAL, _BLOCKED_S)

    def alive(self) -> None:
        """On the way out: what comes next may take as long again. Raises CutShort."""
        if self.requested:
            # In this order: a signal between the two is not lost.
            signal.setitimer(signal.ITIMER_REAL, _BLOCKED_S)
            if self._cut:
                raise CutShort(self._cut)

    def _signal(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self.requested:
            self.requested = name
            if not self.graceful:
                raise CutShort(name)
            signal.setitimer(signal.ITIMER_REAL, _BLOCKED_S)
            return
        self._cut = name
        # Signal after signal does not put it off.
        if not 0 < signal.getitimer(signal.ITIMER_REAL)[0] < _HURRIED_S:
            signal.setitimer(signal.ITIMER_REAL, _HURRIED_S)

    def _alarm(self, *_: object) -> None:
        raise CutShort(self._cut or f"the driver did not return within {_BLOCKED_S:g} s")
