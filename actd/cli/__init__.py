"""The commands: parse, call, print. Everything heavy is imported by the command that needs it.

An ActdError becomes its message on stderr and its exit code; Ctrl-C exits 130.
"""

from __future__ import annotations

import os
import sys
import traceback

# Each adds its commands to the tree, in this order.
from actd.cli import bench, build, config, daemon, evaluate, measure, recordings
from actd.cli.app import app
from actd.errors import ActdError
from actd.redaction import redact

__all__ = ["app", "bench", "build", "config", "daemon", "evaluate", "main", "measure", "recordings"]


def main() -> None:
    """Entry point of the `actd` command."""
    try:
        app()
    except ActdError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`actd echo | head`): end as quietly as it did.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception:  # noqa: BLE001 - a mistake of ours, whose traceback may hold an address
        sys.stderr.write(redact(traceback.format_exc()))
        sys.exit(1)
