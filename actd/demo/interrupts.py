"""Ctrl-C, SIGTERM and a closed terminal, made impossible to lose.

Python raises KeyboardInterrupt wherever the program happens to be, and drops it when that is a
destructor or a callback from C. So the request is remembered too, and `check` raises it again.
Where a half-made object would block the way out (a ZeroMQ socket keeps its context from ending),
`defer` leaves it at remembering.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """While entered, any of the signals raises KeyboardInterrupt and stays asked until taken.

    A signal that is ignored (as under `nohup`) stays so. Does nothing outside the main thread, to
    which signals belong.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self) -> None:
        self._asked = False
        self._deferred = False
        self._previous: dict[int, Any] = {}

    def defer(self) -> None:
        """From now on a signal is only remembered: call `check` often."""
        self._deferred = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if the end was asked for and nobody has taken it."""
        if self._asked:
            raise KeyboardInterrupt

    def take(self) -> None:
        """The request is being followed: `check` is silent until the next one."""
        self._asked = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            numbers = [n for n in self.SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
            self._previous = {n: signal.signal(n, self._interrupt) for n in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if not self._deferred:
            raise KeyboardInterrupt
