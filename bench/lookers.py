"""Everybody looks at a daemon: `python -m bench.lookers ADDRESS FOLDER WATCH...`.

Three Chromium windows with the dashboard open, /metrics scraped every second, and the actd command
WATCH (`top`) in a terminal of its own. `FOLDER` is for the browsers' profiles. Ends when one of
them does.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

BROWSERS = 3
_CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
_QUIET = ("--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-port=0")


def look(address: str, folder: Path, watch: Sequence[str]) -> None:
    """Look until one of those who look ends."""
    wait_for(address)
    browsers = [
        subprocess.Popen([*_CHROMIUM, *_QUIET, f"--user-data-dir={folder / str(n)}", address])
        for n in range(BROWSERS)
    ]
    terminal, inside = pty.openpty()
    screen = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    watcher = subprocess.Popen(watch, stdin=inside, stdout=inside, stderr=inside, env=screen)
    os.set_blocking(terminal, False)
    while all(process.poll() is None for process in (*browsers, watcher)):
        with suppress(BlockingIOError):
            while os.read(terminal, 65536):  # what it draws, so that it goes on drawing
                pass
        with suppress(OSError), urllib.request.urlopen(f"{address}metrics", timeout=5) as answer:
            answer.read()
        time.sleep(1)
    sys.exit("one of those who look has ended")


def wait_for(address: str) -> None:
    """Until the page is there."""
    while True:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)


if __name__ == "__main__":
    look(sys.argv[1], Path(sys.argv[2]), [sys.executable, "-m", "actd", *sys.argv[3:]])
