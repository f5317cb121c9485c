"""The loops of the tick bench as they take turns: the real daemon, and the peers.

Each has an arm of its own and is stopped while it is not its turn. What it did in its turns is
given as records with wake_ns, late_ns, sent_ns and missed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.client import Operator
from actd.errors import LinkError
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.observe.flight import Flight, read_flight
from actd.runtime.shm import Ring
from bench import stage
from bench.peers import POLICY_HZ, RECORD, SLOTS

JOINTS = [f"joint_{number}" for number in range(14)]
START_S = 60.0
POLL_S = 0.05

Window = tuple[int, int]
"""One turn: from and to, on the monotonic clock in ns."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all loops of one run share. Without `infer` no loop infers, but cameras are on."""

    hz: float
    infer: bool
    engine: Path
    threads: int
    videos: Mapping[str, str]
    scratch: Path


class Contestant:
    """Processes that are stopped while it is not their turn."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        self.name = name
        self.setting = setting
        self.ports = stage.free_ports()
        self._stack = stack
        self._processes: list[stage.Process] = []

    def start(self, name: str, command: list[str], fds: tuple[int, ...] = ()) -> None:
        """Start one of its processes, and see to its end."""
        log = self.setting.scratch / f"{self.name}-{name}.log"
        process = stage.Process([sys.executable, "-m", *command], log, fds)
        self._stack.callback(process.end)
        self._processes.append(process)

    def start_peer(self, loop: str, ring: Ring | None = None) -> None:
        """Start a loop of bench.peers, or its arm."""
        fds = () if ring is None else (ring.fd,)
        job = {
            **asdict(self.setting),
            "scratch": "",
            "engine": str(self.setting.engine),
            "loop": loop,
            "ports": list(asdict(self.ports).values()),
            "joints": JOINTS,
            "fd": fds[0] if fds else -1,
        }
        self.start(loop, ["bench.peers", json.dumps(job)], fds)

    def resume(self) -> None:
        """Go on, until it works. Ends the bench when it does not."""
        for process in self._processes:
            process.resume()
        began_s = time.monotonic()
        while not self.works():
            self.check()
            if time.monotonic() - began_s > START_S:
                sys.exit(f"{self.name} does not come to work in {START_S:g} s")
            time.sleep(POLL_S)

    def pause(self) -> None:
        """Let the others have the computer."""
        self.check()
        for process in self._processes:
            process.pause()

    def check(self) -> None:
        """End the bench if one of its processes has ended."""
        for process in self._processes:
            process.check()

    def works(self) -> bool:
        """Whether ticks come, as they should in this run."""
        raise NotImplementedError

    def ticks(self, window: Window) -> NDArray[Any]:
        """The records of one turn."""
        raise NotImplementedError


class Peer(Contestant):
    """One loop of bench.peers."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        super().__init__(name, setting, stack)
        self._ring = Ring(RECORD, SLOTS)
        self._seen = 0
        self.start_peer(name, self._ring)
        self.start_peer("arm")

    def works(self) -> bool:
        """Whether a tick has come since it was last looked at."""
        before, self._seen = self._seen, self._ring.newest
        return self._seen > before > 0

    def ticks(self, window: Window) -> NDArray[Any]:
        """The records of one turn that has just ended."""
        records = [record for _, record in self._ring.since(0)]
        return inside(np.array(records, RECORD), window)


class Daemon(Contestant):
    """`actd run`, with its flight recorder on."""

    def __init__(self, setting: Setting, stack: ExitStack) -> None:
        super().__init__("actd", setting, stack)
        self.realtime: dict[str, Any] = {}
        self._operator = stack.enter_context(Operator(ports=self.ports, timeout_s=2.0))
        self.start("daemon", ["actd", "run", str(_write_config(setting, self.ports))])
        self.start_peer("arm")

    def works(self) -> bool:
        """Whether it is armed; without inference it cannot be."""
        try:
            status = self._operator.status()
            self.realtime = status["processes"]["tick"]
            if not self.setting.infer:
                return bool(status["control"]["ticks"] > 0)
            if status["mode"] == Mode.ARMED.name:
                return True
            for command in ("reset", "arm"):
                with suppress(LinkError):  # not in this mode, or not yet
                    self._operator.request(command)
            return bool(self._operator.status()["mode"] == Mode.ARMED.name)
        except LinkError:
            return False  # not listening yet

    def ticks(self, window: Window) -> NDArray[Any]:
        """The records of one turn; by now they are on disk."""
        return inside(self.flight().ticks, window)

    def flight(self) -> Flight:
        """Everything that was recorded so far."""
        return read_flight(self.setting.scratch / "flights")


def inside(records: NDArray[Any], window: Window) -> NDArray[Any]:
    """The records of ticks that woke in this window."""
    wake_ns = records["wake_ns"]
    return records[(wake_ns >= window[0]) & (wake_ns < window[1])]


def maker(name: str) -> Callable[[Setting, ExitStack], Contestant]:
    """How the contestant of this name is made."""
    return Daemon if name == "actd" else lambda setting, stack: Peer(name, setting, stack)


def _write_config(setting: Setting, ports: Ports) -> Path:
    limits = "{position: [-3, 3], velocity: 3, acceleration: 30}"
    camera = "{{type: opencv, index_or_path: '{}', width: 640, height: 480, fps: 30}}"
    lines = [
        f"engine: {setting.engine}",
        "robot:",
        "  start_distance: 10",
        "  joints:",
        *(f"    {joint}: {limits}" for joint in JOINTS),
        "cameras:",
        *(f"  {name}: {camera.format(path)}" for name, path in setting.videos.items()),
        f"control: {{rate_hz: {setting.hz:g}, policy_hz: {POLICY_HZ}, mode: temporal}}",
        # The bench is about time; a slow computer's old plans are to be followed all the same.
        "staleness: {plan_ms: 10000}",
        f"flight: {{folder: {setting.scratch / 'flights'}}}",
        "link:",
        *(f"  {name}_port: {port}" for name, port in asdict(ports).items()),
    ]
    path = setting.scratch / "actd.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path
