"""What becomes of a mistake in actd itself: one line for the user, the traceback in a file.

An exception that is no ActdError was not foreseen. Its traceback goes to
`<state folder>/crashes/<id>.txt`, readable by its owner only, and the line names the file. The
id is made of the places in the traceback, so the same mistake has the same id and one file, the
newest, however often a service is restarted. Raises nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import tempfile
import threading
import traceback
from datetime import datetime, timezone
from pathlib import Path

from actd import __version__
from actd.folders import state_folder
from actd.redaction import redact

EXIT_CODE = 70
"""EX_SOFTWARE: not the user's mistake."""

_LONGEST = 200


def line(error: BaseException) -> str:
    """Keep the traceback of `error`, and say in one line what happened and where that is."""
    name = crash_id(error)
    what = f"{words(error)}{_place(error)}: not foreseen by actd, crash {name}"
    try:
        file = _keep(name, _report(error))
    except OSError as unwritable:
        return f"{what}; its traceback was not kept ({words(unwritable)})"
    return f"{what}; please report it with {file}"


def words(error: BaseException) -> str:
    """What an exception says, on one line and without passwords."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(_line(part) for part in (error.filename, error.strerror) if part)
    if isinstance(error, ImportError):
        return f"{_line(error)}: a package is missing or broken"
    said = _line(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def crash_id(error: BaseException) -> str:
    """Eight hex digits, the same for the same kind of error from the same places."""
    frames = [(Path(f.filename).name, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    return hashlib.sha256(f"{type(error)} {frames}".encode()).hexdigest()[:8]


def install() -> None:
    """Let every exception that nobody catches, in threads too, be one line on stderr."""

    def report(error: BaseException | None, what: str = "") -> None:
        if isinstance(error, Exception) and sys.stderr is not None:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{what}{line(error)}\n")
                sys.stderr.flush()

    sys.excepthook = lambda _, error, __: report(error)
    threading.excepthook = lambda args: report(
        args.exc_value, f"thread {args.thread.name}: " if args.thread else ""
    )
    sys.unraisablehook = lambda args: report(args.exc_value)


class LogFormatter(logging.Formatter):
    """Formats a log record without secrets, and on one line where it comes with an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return redact(super().format(record))
        plain = logging.makeLogRecord(record.__dict__)
        plain.msg, plain.args = f"{_line(record.getMessage())}: {line(error)}", ()
        plain.exc_info, plain.exc_text = None, None
        return redact(super().format(plain))


def _keep(name: str, text: str) -> Path:
    """Write a report for its owner only. Raises OSError where not even /tmp takes it."""
    try:
        folder = state_folder() / "crashes"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _replaced(folder / f"{name}.txt", text)
    except (OSError, RuntimeError):  # Path.home() raises RuntimeError
        number, made = tempfile.mkstemp(prefix=f"actd-crash-{name}-", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return Path(made)


def _replaced(file: Path, text: str) -> Path:
    number, made = tempfile.mkstemp(prefix=".", dir=file.parent)  # of mode 0600
    try:
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as new:
            new.write(text)
        Path(made).replace(file)
    except OSError:
        Path(made).unlink()
        raise
    return file


def _report(error: BaseException) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    about = f"actd {__version__}, Python {sys.version.split()[0]} on {sys.platform}, {now}"
    return redact(f"{about}\n{sys.orig_argv}\n\n{''.join(traceback.format_exception(error))}")


def _place(error: BaseException) -> str:
    """The innermost line of actd that took part."""
    home = str(Path(__file__).parent)
    ours = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(home)]
    return f" (actd{ours[-1].filename[len(home) :]}:{ours[-1].lineno})" if ours else ""


def _line(text: object) -> str:
    flat = redact(" ".join(str(text).split()))
    return flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]}..."
