"""Handle Ctrl-C, SIGTERM and a closed terminal without losing one.

Python raises KeyboardInterrupt wherever the program happens to be, and drops it in a destructor or
a callback from C. So the request is also stored, and `check` raises it again. Where a half-made
object would block the exit (a ZeroMQ socket keeps its context from ending), `defer` only stores it.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """While entered, any of the signals raises KeyboardInterrupt and is pending until `take`.

    A signal that is ignored (as under `nohup`) stays so. Does nothing outside the main thread, to
    which signals belong.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def __init__(self) -> None:
        self._pending = False
        self._deferred = False
        self._previous: dict[int, Any] = {}

    def defer(self) -> None:
        """From now on only store a signal: call `check` often."""
        self._deferred = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if a request is pending."""
        if self._pending:
            raise KeyboardInterrupt

    def take(self) -> None:
        """Take the pending request: `check` is silent until the next one."""
        self._pending = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            numbers = [n for n in self.SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
            self._previous = {n: signal.signal(n, self._interrupt) for n in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._pending = True
        if not self._deferred:
            raise KeyboardInterrupt
