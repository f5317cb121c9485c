"""A real daemon with an arm, an operator and cameras, and the ways to break each of them.

One rig may serve many faults, one after the other: `bring` leads it into a mode from any
other, and `end` tells what the daemon has left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from actd.client import Operator
from actd.errors import LinkError
from actd.mode import Mode
from tests.faults.arm import Arm, speak
from tests.faults.deployment import (
    BOUNDS,
    CAMERA_MS,
    RATE_HZ,
    free_ports,
    is_free,
    write_config,
    write_videos,
)
from tests.faults.promise import (
    Operated,
    disorder,
    no_rest,
    re_engaged,
    wild_steps,
)
from tests.faults.webcam import Webcam, lively

PATIENCE_S = 30.0
"""How long a test waits for what must come; never part of a verdict on time."""

_DISK_MB = 12

_ROLES = {"tick": 1, "inference": 1, "camera": 2, "flight": 1}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a daemon is started with.

    `webcam`: `cam_low` is one, and looked at for freezing. `clock`: its wall clock is
    `rig.clock`'s. `small_disk`: the flight recorder has a disk of its own.
    """

    webcam: bool = False
    clock: bool = False
    small_disk: bool = False


class Rig:
    """One running daemon and everything round it, in `folder`."""

    def __init__(self, setup: Setup, folder: Path, engine: Path) -> None:
        self.setup = setup
        self.folder = folder
        self.ports = free_ports()
        self.operated: list[Operated] = []
        self.notes: list[str] = []
        """What an injection has to tell of the fault in hand."""
        self.kills = 0
        """Processes that this daemon has had to start again."""
        self.clock = folder / "clock"
        self.flights = folder / "flights"
        self.webcam = Webcam() if setup.webcam else None
        self._known: dict[int, psutil.Process] = {}
        self._shared_memory = set(Path("/dev/shm").iterdir())
        self._scratch = folder / "tmp"
        self._scratch.mkdir(parents=True)
        write_videos(folder)
        self.step_clock(0)
        if setup.small_disk:
            self.flights.mkdir()
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "actd", self.flights],
                check=True,
            )
        url = self.webcam.url if self.webcam is not None else None
        config = write_config(folder, engine, self.ports, self.flights, url)
        self._log = (folder / "daemon.log").open("wb")
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "actd", "run", str(config)],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "TMPDIR": str(self._scratch),
                "XDG_STATE_HOME": str(folder / "state"),
                **(self._other_clock() if setup.clock else {}),
            },
        )
        self.arm = Arm(self.ports)
        self.arm.start()

    # --- the operator

    def operator(self, timeout_s: float = 3.0) -> Operator:
        """A connection to the control socket."""
        return Operator(ports=self.ports, timeout_s=timeout_s)

    def operate(self, event: str) -> None:
        """Give one command; raises LinkError when it is refused."""
        given_ns = time.monotonic_ns()
        with self.operator() as operator:
            operator.request(event)
        self.operated.append(Operated(given_ns, event))

    def status(self) -> dict[str, Any]:
        """The daemon's, or an empty one while it does not answer."""
        try:
            with self.operator(1.0) as operator:
                return operator.status()
        except LinkError:
            return {}

    def bring(self, mode: Mode) -> None:
        """Lead the healthy daemon into `mode`, as an operator would, and the arm to rest before."""
        self.wait(self.is_healthy, "the daemon to be healthy")
        if self.arm.mode is not Mode.IDLE:
            with suppress(LinkError):  # it may have stopped already
                self.operate("stop")
            self.wait(self._at_rest, "the arm to rest")
            self.operate("reset")
        self.wait_mode(Mode.IDLE)
        if mode is Mode.IDLE:
            return
        if mode is Mode.STOP:
            self.operate("stop")
        else:
            self._engage()
        if mode is Mode.HOLD:
            self.operate("hold")
        elif mode is Mode.FAULT:
            self.arm.speech = lambda _: None
            self.wait_mode(Mode.FAULT)
            self.arm.speech = speak
        self.wait_mode(mode)
        if mode is not Mode.ARMED:
            self.wait(self._at_rest, "the arm to rest")

    def _engage(self) -> None:
        def armed() -> bool:
            try:
                self.operate("arm")
            except LinkError as error:
                refusals.append(str(error))
                return False
            return True

        refusals: list[str] = []
        self.wait(armed, "the daemon to arm", lambda: refusals[-1] if refusals else "")
        begun = len(self.arm.log)
        # Fast enough that a fault has something to break.
        self.wait(
            lambda: self.arm.mode is Mode.ARMED and len(self.arm.log) > begun + RATE_HZ // 2,
            "the arm to move",
        )

    def _at_rest(self) -> bool:
        last = [received.action.action for received in self.arm.log[-5:]]
        return len(last) == 5 and all(action == last[0] for action in last)

    # --- waiting

    def wait(
        self, condition: Callable[[], object], what: str, why: Callable[[], str] = str
    ) -> None:
        """Until `condition` holds; AssertionError with the daemon's last words if it never does."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise AssertionError(
                    f"waited {PATIENCE_S:g} s for {what} {why()}; mode {self.arm.mode!r}; "
                    f"{self.said()[-1500:]}"
                )
            time.sleep(0.02)

    def wait_mode(self, *modes: Mode) -> None:
        """Until the newest message has one of these modes."""
        self.wait(lambda: self.arm.mode in modes, "/".join(mode.name for mode in modes))

    def is_healthy(self) -> bool:
        """Every process is there, every camera delivers and plans are made."""
        status = self.status()
        if not status.get("ready"):
            if self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended: {self.said()[-1500:]}")
            return False
        cameras, inference = status["cameras"], status["inference"]
        roles = [role for _, role in self.family()]
        return (
            all(roles.count(role) == count for role, count in _ROLES.items())
            and all(camera["state"] == "ok" for camera in cameras.values())
            and all((camera["age_ms"] or 1e9) < CAMERA_MS for camera in cameras.values())
            and inference["state"] == "running"
        )

    def mode(self) -> str:
        """The daemon's mode, also where no arm listens."""
        if self.arm.is_alive():
            return self.arm.log[-1].action.mode.name if self.arm.log else ""
        return str(self.status().get("mode", ""))

    def flight_says(self) -> str:
        """The flight recorder's condition, as status has it."""
        return str(self.status().get("flight", ""))

    def said(self) -> str:
        """What the daemon has printed."""
        return (self.folder / "daemon.log").read_text(errors="replace")

    # --- processes

    def family(self) -> list[tuple[psutil.Process, str]]:
        """The children that run, each with its role."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.daemon.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    words = child.cmdline()
                    module = next((w for w in words if w.startswith("actd.runtime.")), "")
                    self._known[child.pid] = child
                    found.append((child, module.rpartition(".")[2]))
        return found

    def process(self, target: str) -> psutil.Process:
        """A process by name: supervisor, tick, inference, flight, or `camera` and its name."""
        if target == "supervisor":
            return psutil.Process(self.daemon.pid)
        role, _, name = target.partition(" ")
        for child, found in self.family():
            if found == role and (not name or _reads(child, f"{name}.avi")):
                return child
        raise AssertionError(f"no process {target}; {self.said()[-1500:]}")

    # --- the end

    def end(self) -> list[str]:
        """End the daemon and everything round it; what went wrong or was left behind, in words."""
        self.family()
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(PATIENCE_S)
            wrong = self.leftovers() + self.life()
        except subprocess.TimeoutExpired:
            wrong = ["the daemon did not end"]
        self.close()
        return wrong

    def leftovers(self) -> list[str]:
        """What is still there of a daemon that has ended: processes, ports, memory, files."""
        _, alive = psutil.wait_procs(list(self._known.values()), timeout=10)
        left = [f"process {' '.join(process.cmdline())}" for process in alive]
        left += [f"port {port}" for port in vars(self.ports).values() if not is_free(port)]
        left += [str(path) for path in set(Path("/dev/shm").iterdir()) - self._shared_memory]
        left += [f"temporary file {file}" for file in self._scratch.rglob("*")]
        return left

    def life(self) -> list[str]:
        """What was promised for every moment and broken in some, between the faults too."""
        log = self.arm.log
        return [
            *wild_steps(log, BOUNDS),
            *disorder(log),
            *no_rest(log, BOUNDS),
            *re_engaged(log, self.operated, BOUNDS),
        ][:3]

    def close(self) -> None:
        """End what the test itself runs; kill what is left of the daemon."""
        self.arm.close()
        if self.webcam is not None:
            self.webcam.close()
        for process in self._known.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.daemon.poll() is None:
            self.daemon.kill()
        self.daemon.wait()
        self._log.close()
        if self.setup.small_disk:
            subprocess.run(["umount", "--lazy", self.flights], check=True)

    def calm(self) -> None:
        """Undo what a fault may have left in the arm and the cameras."""
        self.arm.speech = speak
        if not self.arm.is_alive():
            before, self.arm = self.arm, Arm(self.ports)
            self.arm.pose, self.arm.log = before.pose, before.log
            self.arm.start()
        if self.webcam is not None:
            self.webcam.replug()
            self.webcam.show = lively()

    # --- the clock

    def step_clock(self, seconds: int) -> None:
        """Set the daemon's wall clock so far ahead of the real one; negative: behind."""
        self.clock.write_bytes(seconds.to_bytes(8, sys.byteorder, signed=True))

    def _other_clock(self) -> dict[str, str]:
        """Preloads a wall clock that is as wrong as `self.clock` says."""
        library = self.folder / "wallclock.so"
        source = Path(__file__).with_name("wallclock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        return {"LD_PRELOAD": str(library), "ACTD_TEST_CLOCK": str(self.clock)}


def _reads(process: psutil.Process, name: str) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any(Path(file.path).name == name for file in process.open_files())
    return False
