"""A real daemon, run as users run it, on ports and cameras of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from actd.client import Operator, Robot
from actd.errors import LinkError
from actd.link.messages import Action
from actd.link.sockets import Ports
from tests.ports import link_section
from tests.videos import write_video

ROBOT = "test-robot"
JOINTS = [f"j{index}" for index in range(14)]


@dataclass
class Daemon:
    """One `actd run` and what it printed."""

    config: Path
    ports: Ports
    process: subprocess.Popen[str]
    processes: list[psutil.Process] = field(default_factory=list)

    def operator(self) -> Operator:
        return Operator(ports=self.ports)

    def robot(self) -> Robot:
        return Robot(ROBOT, ports=self.ports)

    def wait_ready(self, timeout_s: float = 30) -> None:
        wait_until(self.is_ready, "the daemon to be ready", timeout_s)
        self.processes = psutil.Process(self.process.pid).children(recursive=True)

    def child(self, role: str) -> psutil.Process:
        module = f"actd.runtime.{role}"
        return next(p for p in self.processes if p.is_running() and module in p.cmdline())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.finish()

    def finish(self, timeout_s: float = 20) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, output

    def leftovers(self) -> list[str]:
        _, alive = psutil.wait_procs(self.processes, timeout=5)
        return [" ".join(process.cmdline()) for process in alive]

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended: {self.finish()[1]}")
        try:
            with Operator(ports=self.ports, timeout_s=0.5) as operator:
                return bool(operator.status()["ready"])
        except LinkError:
            return False


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.02)


class Arm:
    """The simplest robot: it is where it was last told to be."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self.positions = dict.fromkeys(JOINTS, 0.0)
        self.received: list[Action] = []

    def cycle(self, seconds: float, *, until: Callable[[Action], bool] | None = None) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.robot.send_state(self.positions)
            action = self.robot.receive(0.02)
            if action is None or (self.received and action.seq == self.received[-1].seq):
                continue
            self.received.append(action)
            if action.moves:
                self.positions.update(action.action)
            if until is not None and until(action):
                return


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = (np.full((96, 128, 3), 2 * index, np.uint8) for index in range(90))
    return write_video(tmp_path_factory.mktemp("video") / "frames.avi", images)


def write_config(  # noqa: PLR0917
    folder: Path,
    engine: Path,
    ports: Ports,
    sources: dict[str, str],
    extra: str = "",
    joints: list[str] | None = None,
) -> Path:
    lines = [
        f"engine: {engine}",
        "robot:",
        f"  name: {ROBOT}",
        "  start_distance: 2.0",
        "  joints:",
    ]
    lines += [
        f"    {name}: {{position: [-16, 16], velocity: 3, acceleration: 30}}"
        for name in joints or JOINTS
    ]
    lines += ["cameras:"]
    lines += [
        f"  {name}: {{type: opencv, index_or_path: '{source}', width: 128, height: 96, fps: 30}}"
        for name, source in sources.items()
    ]
    if "staleness:" not in extra:
        # The arm is a loop of the test's own process, which a busy computer keeps waiting.
        lines += ["staleness: {state_ms: 500, controller_ms: 500}"]
    lines += [
        link_section(ports),
        "control: {policy_hz: 50}",
        "process: {realtime: prefer, inference: {threads: 1}}",
        extra,
    ]
    path = folder / "actd.yaml"
    path.write_text("\n".join(lines))
    return path


def start(config: Path, ports: Ports) -> Daemon:
    process = subprocess.Popen(
        [sys.executable, "-m", "actd", "run", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Daemon(config, ports, process)


@contextmanager
def running(config: Path, ports: Ports) -> Iterator[Daemon]:
    """A ready daemon; whatever the test did, nothing survives it."""
    subject = start(config, ports)
    try:
        subject.wait_ready()
        yield subject
    finally:
        if subject.process.poll() is None:
            subject.process.kill()
        subject.process.wait(5)
        for process in subject.processes:
            if process.is_running():
                process.kill()


@pytest.fixture
def daemon(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Iterator[Daemon]:
    """A ready daemon on two looping video files."""
    sources = {"cam_high": str(video), "cam_low": str(video)}
    with running(write_config(tmp_path, small_engine, ports, sources), ports) as subject:
        yield subject
