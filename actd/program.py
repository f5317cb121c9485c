"""What every command ends in: an exit code, and one line where something went wrong.

An ActdError becomes its message on stderr and its exit code, any other error one line that names
the file with its traceback; Ctrl-C exits 130.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from actd import crash
from actd.errors import ActdError
from actd.redaction import redact

# What befalls any output, stdout too: no mistake of actd's.
_FULL = {errno.ENOSPC: "free some space, or write elsewhere", errno.EDQUOT: "free some space"}


def run(command: Callable[[], object]) -> None:
    """Run a command; exits the process where it does not end well."""
    crash.install()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # None where it was closed
            # A file name or a key need not be text that this terminal can show.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        _flushed(command)
    except ActdError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`actd echo | head`): end as quietly as it did.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.errno not in _FULL:
            _end_unforeseen(error)
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"actd: {crash.words(error)}; {_FULL[error.errno]}\n")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  the one place for what nobody foresaw
        _end_unforeseen(error)


def _end_unforeseen(error: Exception) -> NoReturn:
    sys.stderr.write(f"actd: {crash.line(error)}\n")
    sys.exit(crash.EXIT_CODE)


def _flushed(command: Callable[[], object]) -> None:
    try:
        command()
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
