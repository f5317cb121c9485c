"""The commands: parse, call, print. Everything heavy is imported by the command that needs it.

An ActdError becomes its message on stderr and its exit code, any other error one line that names
the file with its traceback; Ctrl-C exits 130.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from typer.main import get_command

from actd import crash

# Each adds its commands to the tree, in this order.
from actd.cli import (
    bench,
    build,
    cameras,
    config,
    daemon,
    doctor,
    evaluate,
    measure,
    poses,
    recordings,
    service,
)
from actd.cli.app import CarriedError, app
from actd.errors import ActdError
from actd.redaction import redact

__all__ = [
    "app",
    "bench",
    "build",
    "cameras",
    "config",
    "daemon",
    "doctor",
    "evaluate",
    "main",
    "measure",
    "poses",
    "recordings",
    "service",
]


def main() -> None:
    """Entry point of the `actd` command."""
    crash.install()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # None where it was closed
            # A file name or a key need not be text that this terminal can show.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        _run()
    except ActdError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`actd echo | head`): end as quietly as it did.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001  the one place for what nobody foresaw
        sys.stderr.write(f"actd: {crash.line(error)}\n")
        sys.exit(crash.EXIT_CODE)


def _run() -> None:
    try:
        get_command(app)()
    except CarriedError as carried:
        raise carried.error from None
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
