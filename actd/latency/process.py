"""The daemon's tick process on its own, without a policy, always ended cleanly.

Whatever ends the measurement (a result, an error, Ctrl-C, SIGTERM, a closed terminal), the tick
process gets SIGTERM: it ramps the arm to rest, announces STOP, and is waited for. If this process
is killed, the kernel sends the signal instead.
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

# The longest ramp that a deployment allows, and a margin to begin and announce it.
_END_S = LONGEST_STOP_S + 2.0
# After a closed terminal nobody is watching the arm.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def tick_process(settings: ControlLoopSettings) -> Iterator[Callable[[], None]]:
    """Start the process with `settings`; end it on exit.

    Yields a check to call while waiting for the process: it raises ActdError with the last line of
    its log if it has ended, and KeyboardInterrupt if a signal asked to end.
    """
    with tempfile.TemporaryFile() as log, _signals() as stop:
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
            if stop.pending:
                raise KeyboardInterrupt
            if process.poll() is not None:
                code = process.returncode
                raise ActdError(
                    _last_words(log) or f"the tick process ended ({code}); look at the arm"
                )

        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError), process.stdin as pipe:  # ended: `check` says why
                    pipe.write(json.dumps(encode(settings)).encode())
            yield check
        finally:
            stop.pending = True
            _end(process)


class _StopRequest:
    """Whether a signal asked to end, or the end has begun."""

    pending = False


@contextmanager
def _signals() -> Iterator[_StopRequest]:
    """A signal raises KeyboardInterrupt, once: the end must not be cut short.

    Python may lose what is raised in a callback, so the request is stored as well.
    """
    stop = _StopRequest()

    def interrupt(*_: object) -> None:
        if not stop.pending:
            stop.pending = True
            raise KeyboardInterrupt

    # Only the main thread gets signals.
    signals = _SIGNALS if threading.current_thread() is threading.main_thread() else ()
    handlers = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process. Raises ActdError if it had to be killed."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ActdError(
            f"the tick process did not end within {_END_S:g} s and was killed; look at the arm"
        ) from None


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
