"""A tiny Type=notify service for the tests: says READY, then lives as its argument tells it to.

`steady` feeds the watchdog until SIGTERM; `stuck` stops feeding it; `mute` never
says READY; a number is an exit status, given after READY.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

from actd.runtime.notify import Notifier

PERIOD_S = 0.1


def main(life: str) -> None:
    notifier = Notifier.from_env()

    def stop(_signum: int, _frame: FrameType | None) -> None:
        notifier.stopping()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    if life != "mute":
        notifier.ready(f"beacon is {life}")
    if life.isdecimal():
        sys.exit(int(life))
    while True:
        if life == "steady":
            notifier.watchdog()
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    main(sys.argv[1])
