"""What every process of the daemon does first: take its settings and place, and never outlive it.

`python -m actd.runtime.process_entry MODULE` runs `MODULE.run(settings)`. The settings, a
`ProcessSettings` of that module's own, come on stdin as JSON. Changes of the process's own state
go to stdout as JSON lines, and why it dies to stderr as one line; the traceback of an unforeseen
error goes to a file that the line names. The supervisor reads both.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, get_type_hints

from actd import crash
from actd.codec import decode
from actd.errors import ActdError
from actd.host import end_with_parent
from actd.runtime import realtime
from actd.runtime.channels import Shapes
from actd.runtime.cores import Placement

# Ctrl-C, or a terminal that closes, reaches the whole group; only the supervisor acts on it.
_GROUP_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What every process is told, by the process that makes it.

    `shapes` and `fds` are for `open_channels`; it inherits these descriptors. `placement` None: it
    sees to that itself. `ignored`: the signals that it was started to ignore, as `nohup` does;
    known when it runs.
    """

    shapes: Shapes
    fds: Mapping[str, int]
    placement: Placement | None = None
    ignored: tuple[int, ...] = ()
    supervisor_pid: int = field(default_factory=os.getpid)


def report(**fields: Any) -> None:
    """Tell the supervisor something about this process. Not for the tick's loop: it may block."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main(module: str) -> None:
    """Run one process to its end; exits 0, or 1 with the reason on stderr."""
    crash.install()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _GROUP_SIGNALS}
    ignored = tuple([int(n) for n, handler in before.items() if handler is signal.SIG_IGN])
    end_with_parent(signal.SIGTERM)
    run = import_module(module).run
    try:
        settings = _settings(get_type_hints(run)["settings"])
        if os.getppid() != settings.supervisor_pid:
            raise SystemExit(1)  # it died before the request took hold
        if settings.placement is not None:
            report(realtime=realtime.settle(settings.placement))
        run(replace(settings, ignored=ignored))
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


def _settings(kind: type[ProcessSettings]) -> ProcessSettings:
    try:
        return decode(kind, json.load(sys.stdin))
    except ValueError as error:
        raise ActdError(
            f"{error}: the daemon was started by another version of actd; start it again"
        ) from None


if __name__ == "__main__":
    main(sys.argv[1])
