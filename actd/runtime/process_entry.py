"""What every process of the daemon does first: take its job and place, and never outlive it.

`python -m actd.runtime.process_entry MODULE` runs `MODULE.run(job)`. The job (JSON) comes on stdin,
changes of its own state go to stdout as JSON lines, and why it dies to stderr as one line.
The supervisor reads both.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib import import_module
from typing import Any

from actd.errors import ActdError
from actd.host import end_with_parent
from actd.runtime import realtime

# Ctrl-C, or a terminal that closes, reaches the whole group; only the supervisor acts on it.
_GROUP_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def report(**fields: Any) -> None:
    """Tell the supervisor something about this process. Not for the tick's loop: it may block."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main(module: str) -> None:
    """Run one process to its end; exits 0, or 1 with the reason on stderr.

    `ignored` in its job are the signals that it was started to ignore, as `nohup` does.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _GROUP_SIGNALS}
    end_with_parent(signal.SIGTERM)
    run = import_module(module).run
    job = json.load(sys.stdin)
    if os.getppid() != job["supervisor_pid"]:
        raise SystemExit(1)  # it died before the request took hold
    job["ignored"] = [int(n) for n, handler in before.items() if handler is signal.SIG_IGN]
    if "placement" in job:
        report(realtime=realtime.settle(**job["placement"]))
    try:
        run(job)
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main(sys.argv[1])
