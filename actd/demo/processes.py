"""Start, watch and end the demo's two processes, so that none outlives the demo.

Owns each child's process group and log file. A child gets SIGTERM and, if it does not end, is
killed with its group; if the demo itself is killed, the kernel sends the SIGTERM.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from actd.errors import ActdError
from actd.host import end_with_parent


class NothingSaidError(ActdError):
    """A child printed no line in time."""


class DemoProcess:
    """A process started by the demo, in a session of its own so that Ctrl-C does not reach it.

    stdout is a pipe of JSON lines when `speaks`, else it goes to the log with stderr.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, speaks: bool = False
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if speaks else file,
                stderr=file if speaks else subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # the demo has no threads yet
            )
        self._unread = b""

    def check(self) -> None:
        """Raise ActdError with the last line of the child's log if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise ActdError(f"the {self.name} ended ({_ending(code)}): {self._last_words()}")

    def read_line(self, timeout_s: float) -> dict[str, Any]:
        """The next JSON line of its stdout. Raises ActdError when none comes."""
        pipe = self._process.stdout
        if pipe is None:
            raise ActdError(f"the {self.name} was started without a pipe to read")
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left_s = max(0.0, deadline - time.monotonic())
                if not selector.select(left_s):
                    raise NothingSaidError(
                        f"the {self.name} printed nothing for {timeout_s:g} s; see {self.log}"
                    )
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    self._process.wait()
                    self.check()
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def read_lines(self) -> list[dict[str, Any]]:
        """The JSON lines of its stdout that have come since."""
        lines = []
        with suppress(NothingSaidError):
            while True:
                lines.append(self.read_line(0.0))
        return lines

    def ask_to_end(self) -> None:
        """Send SIGTERM if it is still running."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self, timeout_s: float = 10.0) -> None:
        """End the process and everything it started. Safe to call twice."""
        self.ask_to_end()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        finally:
            self._kill_group()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):  # the group is empty: the usual, clean end
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


def _end_with_parent() -> None:
    end_with_parent(signal.SIGTERM)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
