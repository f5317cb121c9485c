"""What every child process does first: take its job and its place, and never outlive the daemon.

A child reads its job (JSON) from stdin, reports changes of its own state as JSON lines on
stdout, and says why it dies as one line on stderr. The supervisor reads both.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from actd.errors import ActdError
from actd.host import end_with_parent
from actd.runtime import realtime

# Signals that this process was started to ignore, as `nohup` does.
IGNORED = frozenset(
    number
    for number in (signal.SIGHUP, signal.SIGQUIT)
    if signal.getsignal(number) is signal.SIG_IGN
)


def report(**fields: Any) -> None:
    """Tell the supervisor something about this process. Not for the tick's loop: it may block."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main(run: Callable[[Mapping[str, Any]], None]) -> None:
    """Run one child to its end; exits 0, or 1 with the reason on stderr."""
    end_with_parent(signal.SIGTERM)
    # Ctrl-C, or a terminal that closes, reaches the whole group; only the supervisor acts on it.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    job = json.load(sys.stdin)
    if os.getppid() != job["supervisor_pid"]:
        raise SystemExit(1)  # it died before the request took hold
    if "placement" in job:
        report(realtime=realtime.settle(**job["placement"]))
    try:
        run(job)
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
