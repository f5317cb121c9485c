"""The daemon's tick process on its own: started without a policy, and always ended in order.

Whatever ends the work with it (a result, an error, Ctrl-C, SIGTERM, a terminal that closes), the
process is asked to end: it ramps the arm to rest, announces STOP, and is waited for. Where this
process is killed the kernel asks it instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from actd.codec import encode
from actd.config.checks import LONGEST_STOP_S
from actd.errors import ActdError
from actd.runtime.control_loop import ControlLoopSettings

# The longest ramp that a deployment allows, and what beginning and announcing it take.
_END_S = LONGEST_STOP_S + 2.0
# A terminal that closes leaves nobody who looks at the arm.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def tick_process(settings: ControlLoopSettings) -> Iterator[Callable[[], None]]:
    """Start it; on return it has ended.

    Gives what must be called while something is expected of it: that raises ActdError with its
    last words where it has ended, and KeyboardInterrupt where a signal asks for the end.
    """
    with tempfile.TemporaryFile() as log, _signals() as asked:
        process = subprocess.Popen(
            [sys.executable, "-m", "actd.runtime.process_entry", type(settings).__module__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=tuple(settings.fds.values()),
            # Small arrays only: a thread pool would steal the tick's core.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

        def check() -> None:
            if asked.to_end:
                raise KeyboardInterrupt
            if process.poll() is not None:
                code = process.returncode
                raise ActdError(
                    _last_words(log) or f"the tick process ended ({code}): look at the arm"
                )

        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError), process.stdin as pipe:  # ended: `check` says why
                    pipe.write(json.dumps(encode(settings)).encode())
            yield check
        finally:
            asked.to_end = True
            _end(process)


class _Asked:
    """Whether the end was asked for, or has begun."""

    to_end = False


@contextmanager
def _signals() -> Iterator[_Asked]:
    """A signal raises KeyboardInterrupt, once: the end may not be cut short.

    Python may lose what is raised in a callback, so it is remembered as well.
    """
    asked = _Asked()

    def interrupt(*_: object) -> None:
        if not asked.to_end:
            asked.to_end = True
            raise KeyboardInterrupt

    # Only the main thread gets signals.
    mine = _SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, interrupt) for number in mine}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Raises ActdError where it had to be killed."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ActdError(
            f"the tick process did not end within {_END_S:g} s and was killed: look at the arm"
        ) from None


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
