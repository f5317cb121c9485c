"""One command in this process, as a terminal sees it: exit code, what it printed, how long."""

from __future__ import annotations

import faulthandler
import io
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from actd import cli


class HangError(BaseException):
    """The command did not end in time."""


class Outcome(NamedTuple):
    code: int | None
    out: str
    err: str
    seconds: float


def run(words: Sequence[object], limit_s: float = 20) -> Outcome:
    """`actd WORDS`; the code is None where it did not end within `limit_s`."""
    began = time.monotonic()
    with _terminal() as (out, err), _limit(limit_s):
        sys.argv = ["actd", *map(str, words)]
        code: int | None
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except HangError:
            code = None
        sys.stdout.flush()
        sys.stderr.flush()
        texts = [stream.getvalue().decode("utf-8", "replace") for stream in (out, err)]
    return Outcome(code, texts[0], texts[1], time.monotonic() - began)


@contextmanager
def _terminal() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    names = ("argv", "stdin", "stdout", "stderr", "excepthook", "unraisablehook")
    kept = {name: getattr(sys, name) for name in names}
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdin = io.StringIO()
    sys.stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, "utf-8", write_through=True)
    try:
        yield out, err
    finally:
        for name, value in kept.items():
            setattr(sys, name, value)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def over(*_: Any) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # For what never comes back to Python: the whole run ends, and says where.
    faulthandler.dump_traceback_later(3 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
