"""TensorRT's error log, for use in messages.

TensorRT uses only the first logger it is given in a process: so there is one here.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Any

_LINES = 20
_SHOWN = 3


@cache
def logger(trt: Any) -> Any:
    """The process's logger, for `trt`'s Builder and Runtime. Its `lines` are the latest."""

    class ErrorLog(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=_LINES)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.lines.append(" ".join(message.split()))

    return ErrorLog()


def last_errors(trt: Any) -> str:
    """TensorRT's errors since the last call, for the end of a message."""
    lines: deque[str] = logger(trt).lines
    text = "; ".join(list(lines)[-_SHOWN:])
    lines.clear()
    return f"TensorRT says: {text}" if text else "TensorRT gives no reason"
