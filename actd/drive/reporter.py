"""What is said to people, from a thread of its own: a paused terminal must not stop a bus."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from queue import SimpleQueue

from actd.redaction import redact

_CLOSE_S = 1.0


class Reporter:
    """Writes lines to stderr, in order. Never waits, except a second at the end."""

    def __init__(self) -> None:
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True, name="reporter")
        self._thread.start()

    def say(self, line: str) -> None:
        """Write a line soon."""
        self._lines.put(line)

    def close(self) -> None:
        """Write what was said. Safe to call twice."""
        self._lines.put(None)
        self._thread.join(_CLOSE_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError, ValueError):  # the terminal is gone, or closed
                sys.stderr.write(f"{redact(line)}\n")
                sys.stderr.flush()
