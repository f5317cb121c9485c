"""Being asked to end: the first signal asks for the way out, a second one cuts it short.

What is cut short ends between two cycles, not in a packet. But a driver that blocks in a system
call would never look at a flag, so on the way out an alarm breaks into every step that takes too
long, and soon after a second signal.
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
    """`requested`: whether to leave. `interrupted`: the signal that came before `begin`."""

    def __init__(self) -> None:
        self.requested = ""
        self.interrupted = ""
        self._began = False
        self._cut = ""  # the signal that cuts it short

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals until the block ends. Main thread only."""
        before = {number: signal.signal(number, self._signal) for number in _SIGNALS}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._alarm)
        try:
            yield
        finally:
            alarm = before.pop(signal.SIGALRM)
            for number, handler in before.items():
                signal.signal(number, handler)
            # Only now: those signals set it.
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)

    def begin(self) -> None:
        """From now on the first signal may wait. Raises CutShort where a driver kept one back."""
        if self.interrupted:
            raise CutShort(self.interrupted)
        self._began = True

    def leave(self) -> None:
        """The way out begins here, whoever asked for it or not, or a step of it that must be."""
        self.requested = self.requested or "end"
        self._cut = ""
        self._wait(_BLOCKED_S)

    def alive(self) -> None:
        """On the way out: what comes next may take as long again. Raises CutShort."""
        if self.requested:
            # In this order: a signal between the two is not lost.
            self._wait(_BLOCKED_S)
            if self._cut:
                raise CutShort(self._cut)

    def _signal(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self.requested:
            self.requested = name
            if not self._began:
                self.interrupted = name
                raise CutShort(name)
            self._wait(_BLOCKED_S)
            return
        self._cut = name
        # Signal after signal does not put it off.
        if not 0 < signal.getitimer(signal.ITIMER_REAL)[0] < _HURRIED_S:
            self._wait(_HURRIED_S)

    @staticmethod
    def _wait(seconds: float) -> None:
        # Again and again: what the first one breaks into may not be what hangs.
        signal.setitimer(signal.ITIMER_REAL, seconds, _BLOCKED_S)

    def _alarm(self, *_: object) -> None:
        raise CutShort(self._cut or f"the driver did not return within {_BLOCKED_S:g} s")
