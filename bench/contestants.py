"""The loops of the tick bench as they take turns: the real daemon, and its peers.

Each has an arm of its own and is stopped while it is not its turn. What it did in a turn is a
`bench.lateness.Turn`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.client import Operator
from actd.config.process import ProcessConfig
from actd.errors import LinkError
from actd.flightlog.reader import Flight, read_flight
from actd.link.sockets import Ports, free_ports
from actd.mode import Mode
from actd.runtime.cores import CoreChoice, Share, share
from actd.runtime.realtime import Wish, fifo_can_be_had
from actd.runtime.shm import Ring
from bench import stage
from bench.bus import JOINTS
from bench.lateness import Turn, Window, inside
from bench.peers import POLICY_HZ
from bench.wire import ARRIVAL, CHUNK, ROBOT, SLOTS, TICK

START_S = 60.0
POLL_S = 0.05
_PROCESS = ProcessConfig()


@dataclass(frozen=True, slots=True)
class Setting:
    """What all loops of one run share. Without `infer` no loop infers, but cameras are on.

    `realtime`: of actd's tick and the bare loop. `unprivileged`: everything runs without what
    an ordinary user has not. `arm`: ordinary or realtime,
    see bench.arm.
    """

    hz: float
    infer: bool
    engine: Path
    realtime: Wish
    unprivileged: bool
    arm: str
    videos: Mapping[str, str]
    scratch: Path

    def share(self) -> Share:
        """Who runs on which cores, as the daemon will divide them."""
        priority = _PROCESS.tick.priority
        fifo = not self.unprivileged and fifo_can_be_had(self.realtime, priority)
        return share(os.sched_getaffinity(0), CoreChoice(), fifo=fifo)

    def job(self) -> dict[str, Any]:
        """What every process of the bench is told, as JSON data."""
        found = self.share()
        return {
            "hz": self.hz,
            "infer": self.infer,
            "engine": str(self.engine),
            "realtime": self.realtime,
            "arm": self.arm,
            "videos": dict(self.videos),
            "joints": JOINTS,
            "cores": {role: getattr(found, role) for role in ("tick", "inference", "cameras")},
            "threads": found.threads,
            "priority": _PROCESS.tick.priority,
            "nice": {"inference": _PROCESS.inference.nice, "cameras": _PROCESS.cameras.nice},
        }


class Contestant:
    """Processes that are stopped while it is not their turn."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        self.name = name
        self.setting = setting
        self.ports = free_ports()
        self.rings: dict[str, Ring] = {}
        self._stack = stack
        self._processes: list[stage.Process] = []
        self._seen: list[int] = []

    def start(self, name: str, command: list[str], fds: tuple[int, ...] = ()) -> stage.Process:
        """Start one of its processes, and see to its end."""
        log = self.setting.scratch / f"{self.name}-{name}.log"
        prefix = stage.DROP if self.setting.unprivileged else ()
        process = stage.Process([*prefix, sys.executable, "-m", *command], log, fds)
        self._stack.callback(process.end)
        self._processes.append(process)
        return process

    def start_own(self, module: str, loop: str, rings: Mapping[str, np.dtype[Any]]) -> None:
        """Start `python -m bench.<module>`, which writes these records."""
        made = {name: Ring(dtype, SLOTS) for name, dtype in rings.items()}
        self.rings |= made
        fds = {name: each.fd for name, each in made.items()}
        job = self.setting.job() | {"loop": loop, "ports": list(asdict(self.ports).values())}
        command = [f"bench.{module}", json.dumps(job | {"fds": fds})]
        self.start(f"{module}-{loop}", command, tuple(fds.values()))

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
        """Whether every kind of its records has come since they were last looked at."""
        before, self._seen = self._seen, [ring.newest for ring in self.rings.values()]
        return all(was < now for was, now in zip(before, self._seen, strict=False)) and bool(before)

    def cpu_s(self) -> float:
        """Processor time of its first process so far."""
        return stage.cpu_s(self._processes[0].pid)

    def turn(self, window: Window, cpu_s: float) -> Turn:
        """What it did in the turn that has just ended."""
        return Turn(
            window,
            inside(self.records("ticks", TICK), window),
            self.records("arrivals", ARRIVAL),
            inside(self.records("chunks", CHUNK), window, "started_ns"),
            cpu_s,
        )

    def records(self, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        """What one of its rings still holds."""
        ring = self.rings.get(name)
        return np.array([] if ring is None else [each for _, each in ring.since(0)], dtype)


class Peer(Contestant):
    """One loop of bench.peers."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        super().__init__(name, setting, stack)
        self.start_own("peers", name, {"ticks": TICK})
        self.start_own("arm", "arm", {"arrivals": ARRIVAL})


class Bare(Contestant):
    """The bare loop, beside the engine alone."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        super().__init__(name, setting, stack)
        self.start_own("bare", "loop", {"ticks": TICK})
        self.start_own("bare", "engine", {"chunks": CHUNK} if setting.infer else {})
        self.start_own("arm", "arm", {"arrivals": ARRIVAL})


class Engine(Contestant):
    """The engine alone. It does not tick."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        super().__init__(name, setting, stack)
        self.start_own("bare", "engine", {"chunks": CHUNK})


class Daemon(Contestant):
    """`actd run`, with its flight recorder on."""

    extra = ""
    """A line more of its actd.yaml."""

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        super().__init__(name, setting, stack)
        self.realtime: dict[str, Any] = {}
        self._operator = stack.enter_context(Operator(ports=self.ports, timeout_s=2.0))
        self._flights = setting.scratch / f"flights-{name}"
        self.config = setting.scratch / f"{name}.yaml"
        write_config(setting, self.ports, self.config, self._flights, self.extra)
        self._daemon = self.start("daemon", ["actd", "run", str(self.config)])
        self._tick_pid = 0
        self.start_own("arm", "arm", {"arrivals": ARRIVAL})

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

    def cpu_s(self) -> float:
        """Processor time of its tick process so far."""
        self._tick_pid = self._tick_pid or self._daemon.find("actd.runtime.control_loop")
        return stage.cpu_s(self._tick_pid)

    def turn(self, window: Window, cpu_s: float) -> Turn:
        """What it did in one turn; by now it is on disk."""
        flight = self.flight()
        arrivals = self.records("arrivals", ARRIVAL)
        chunks = inside(flight.chunks, window, "started_ns")
        return Turn(window, inside(flight.ticks, window), arrivals, chunks, cpu_s)

    def flight(self) -> Flight:
        """Everything that was recorded so far."""
        return read_flight(self._flights)


class Watched(Daemon):
    """The same with everybody looking: the dashboard in browsers, a scraper, a terminal, and the
    dataset recorder on.
    """

    def __init__(self, name: str, setting: Setting, stack: ExitStack) -> None:
        self._page_port = free_ports().state
        super().__init__(name, setting, stack)
        self._episode: stage.Process | None = None
        address = f"http://127.0.0.1:{self._page_port}/"
        top = ["top", "--config", str(self.config)]
        self.start("lookers", ["bench.lookers", address, str(setting.scratch / "browsers"), *top])

    def works(self) -> bool:
        """Whether it is armed and recording."""
        if not super().works():
            return False
        if self._episode is None or not self._episode.running:
            out = self.setting.scratch / "recorded"
            command = ["-m", "actd", "record", "--out", str(out), "--task", "bench"]
            config = ["--config", str(self.config)]
            log = self.setting.scratch / "record.log"
            self._episode = stage.Process([sys.executable, *command, *config], log)
            self._stack.callback(self._episode.end)
        return True

    def pause(self) -> None:
        """Let the others have the computer; an episode ends where the arm is left alone."""
        super().pause()
        if self._episode is not None:
            self._episode.pause()

    def resume(self) -> None:
        """Go on, in an episode of its own."""
        if self._episode is not None:
            self._episode.end()
        super().resume()

    @property
    def extra(self) -> str:
        """The dashboard's section of actd.yaml."""
        return f"dashboard: {{enabled: true, port: {self._page_port}}}"


def maker(name: str) -> Callable[[Setting, ExitStack], Contestant]:
    """How the contestant of this name is made."""
    kinds: Mapping[str, Callable[[str, Setting, ExitStack], Contestant]]
    kinds = {"actd": Daemon, "watched": Watched, "bare": Bare, "engine": Engine}
    return partial(kinds.get(name, Peer), name)


def write_config(
    setting: Setting, ports: Ports, path: Path, flights: Path, extra: str = ""
) -> None:
    """Write the deployment of one run to `path`; `extra` is a line more."""
    # Wide: an untrained policy commands anything.
    limits = "{position: [-100, 100], velocity: 3, acceleration: 30}"
    camera = "{{type: opencv, index_or_path: '{}', width: 640, height: 480, fps: 30}}"
    lines = [
        f"engine: {setting.engine}",
        "robot:",
        f"  name: {ROBOT}",
        "  start_distance: 20",
        "  joints:",
        *(f"    {joint}: {limits}" for joint in JOINTS),
        "cameras:",
        *(f"  {name}: {camera.format(path)}" for name, path in setting.videos.items()),
        f"control: {{rate_hz: {setting.hz:g}, policy_hz: {POLICY_HZ}, mode: temporal}}",
        # The bench is about time; a slow computer's old chunks are to be followed all the same.
        "staleness: {chunk_ms: 10000}",
        f"process: {{realtime: '{setting.realtime}'}}",
        f"flight: {{folder: {flights}}}",
        extra,
        "link:",
        *(f"  {name}_port: {port}" for name, port in asdict(ports).items()),
    ]
    path.write_text("\n".join(lines) + "\n")
