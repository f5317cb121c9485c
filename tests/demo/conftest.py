"""The demo as a user starts it. Torch is hidden from it, as on a robot (tests/conftest.py)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MARK = "ACTD_DEMO_TEST"


class Demo:
    """`actd demo` as a process; every process it starts is found by a mark they inherit."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out, self.temp = folder / "out", folder / "temp"
        self.temp.mkdir()
        self._mark = f"{MARK}={folder}"
        command = [sys.executable, "-m", "actd", "demo", "--headless", "--out", str(self.out)]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=os.environ | {MARK: str(folder), "TMPDIR": str(self.temp)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, text: str) -> str:
        """Its output up to and including the line with `text`."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if text in line:
                return "".join(lines)
        raise AssertionError(f"{text!r} never came: {''.join(lines)}")

    def rest(self) -> str:
        """Its output from here to its end."""
        return self.process.communicate(timeout=120)[0]

    def processes(self, *arguments: str) -> list[int]:
        """Pids with the mark whose command line has all of `arguments`; not the demo itself."""
        wanted = [self._mark.encode(), *(argument.encode() for argument in arguments)]
        found = []
        for entry in Path("/proc").iterdir():
            try:
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if all(part in text.split(b"\0") for part in wanted):
                found.append(int(entry.name))
        return [pid for pid in found if pid != self.process.pid]

    def left_after(self, seconds: float) -> list[int]:
        """The processes still there after at most `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def close(self) -> None:
        """Kill whatever a failing test left."""
        self.process.kill()
        self.process.communicate()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Starts the demo: `demo("--seconds", "5")`."""
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.close()
