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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import zmq

from actd.client import Operator, Robot
from actd.errors import LinkError
from actd.link import request, sockets
from actd.link.age import boottime_ns
from actd.mode import Mode
from tests.background import repeated
from tests.faults.arm import ROBOT, Arm
from tests.faults.deployment import CAMERA_MS, LATE_MS, Setup, hull, is_free, write_config
from tests.faults.engine import JOINTS
from tests.faults.leader import Hand
from tests.faults.life import Life, Operated
from tests.faults.promise import DRIVEN, always
from tests.faults.webcam import Webcam, lively
from tests.ports import HOST, free_ports

PATIENCE_S = 30.0
"""How long a test waits for what must come; never part of a verdict on time."""

_DISK_MB = 12
_STATE_S = 0.01
_AT_SPEED = 0.2  # of the velocity limit: fast enough that a fault has something to break

_SHORT = {"control_loop": "tick", "flight_recorder": "flight"}
_ROLES = {"tick": 1, "inference": 1, "camera": 2, "flight": 1}


class Rig:
    """One running daemon and everything round it, in `folder`."""

    def __init__(self, setup: Setup, folder: Path, engine: Path) -> None:
        self.setup = setup
        self.bounds = setup.bounds
        self.folder = folder
        self.ports = free_ports()
        self.operated: list[Operated] = []
        self.notes: list[str] = []
        """What an injection has to tell of the fault in hand."""
        self.struck_ns: int | None = None
        """When the fault in hand struck, where that is before its injection is done."""
        self.kills: Counter[str] = Counter()
        """How often each process has had to be started again."""
        self.clock = folder / "clock"
        self.flights = folder / "flights"
        self.webcam = Webcam()
        self._fresh = False  # nothing has happened since an operator brought it into its mode
        self._known: dict[int, psutil.Process] = {}
        self._shared_memory = set(Path("/dev/shm").iterdir())
        self._scratch = folder / "tmp"
        self._scratch.mkdir(parents=True)
        self.step_clock()
        if setup.small_disk:
            self.flights.mkdir()
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "actd", self.flights],
                check=True,
            )
        config = write_config(
            folder,
            engine,
            setup,
            ports=self.ports,
            flights=self.flights,
            webcam=self.webcam.url,
        )
        self._log = (folder / "daemon.log").open("wb")
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "actd", "run", str(config)],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # A process group of its own, as a shell makes one: what a terminal sends reaches all.
            start_new_session=True,
            env={
                **os.environ,
                "TMPDIR": str(self._scratch),
                "XDG_STATE_HOME": str(folder / "state"),
                **(self._other_clock() if setup.clock else {}),
            },
        )
        self.arm = Arm(self.ports)
        self.arm.start()

    @property
    def life(self) -> Life:
        """Everything so far."""
        return Life(self.arm.log, self.arm.samples, self.operated, self.arm.led)

    def strike(self) -> None:
        """What follows is because of the fault."""
        self.struck_ns = boottime_ns()

    def begin(self) -> None:
        """A fault is to be injected."""
        self.notes.clear()
        self.struck_ns, self._fresh = None, False

    # --- the operator

    def operator(self, timeout_s: float = 3.0) -> Operator:
        """A connection to the control and status sockets."""
        return Operator(ports=self.ports, timeout_s=timeout_s, robot=ROBOT)

    def operate(self, event: str) -> None:
        """Give one order; raises LinkError when it is refused."""
        given_ns = boottime_ns()
        with self.operator() as operator:
            operator.request(event)
        self.operated.append(Operated(given_ns, boottime_ns(), event))

    def order(self, command: str, timeout_s: float = 3.0, **fields: Any) -> dict[str, Any]:
        """One request to the control socket as it is; raises LinkError when it is refused."""
        context: zmq.Context[Any] = zmq.Context()
        try:
            address = sockets.endpoint(HOST, self.ports.control)
            return request.request(context, address, command, round(timeout_s * 1e3), **fields)
        finally:
            context.destroy(linger=0)

    def status(self) -> dict[str, Any]:
        """The daemon's, or an empty one while it does not answer."""
        try:
            with self.operator(1.0) as operator:
                return operator.status()
        except LinkError:
            return {}

    def bring(self, mode: Mode) -> None:
        """Lead the healthy daemon into `mode`, as an operator would; ARMED, MOVING and
        TAKEOVER are in motion.
        """
        self.wait(self.is_healthy, "the daemon to be healthy")
        if mode is Mode.ARMED and self._fresh and self.arm.mode is Mode.ARMED:
            self.wait(self._at_speed, "the arm to move")
            return
        self._fresh = True
        self.arm.hand = None
        if self.arm.mode is not Mode.IDLE:
            with suppress(LinkError):  # it may have stopped already
                self.operate("stop")
            self.wait(self.at_rest, "the arm to rest")
            self.operate("reset")
        self.wait_mode(Mode.IDLE)
        self.arm.do(lambda body: body.place(0 * body.position))
        if mode is Mode.IDLE:
            return
        if mode is Mode.MOVING:
            self._engage("park")
            return
        if mode is Mode.TAKEOVER:
            # Not the newest sample, which may be of before it was placed.
            self.arm.hand = Hand(self.arm.body.position)
            self._engage("takeover")
            return
        self._engage("arm")
        if mode is Mode.HOLD:
            self.operate("hold")
        elif mode is Mode.STOP:
            self.operate("stop")
        elif mode is Mode.FAULT:
            with self.rival(self.arm.position):
                self.wait_mode(Mode.FAULT)
        self.wait_mode(mode)
        if mode is not Mode.ARMED:
            self.wait(self.at_rest, "the arm to rest")

    def _engage(self, order: str) -> None:
        def obeyed() -> bool:
            try:
                self.operate(order)
            except LinkError as error:
                refusals.append(str(error))
                return False
            return True

        refusals: list[str] = []
        self.wait(obeyed, f"the daemon to {order}", lambda: refusals[-1] if refusals else "")
        self.wait(self._at_speed, "the arm to move")

    def _at_speed(self) -> bool:
        action = self.arm.log[-1].action
        speed = action.rest_ms / 1e3 * self.bounds.acceleration
        return action.mode in DRIVEN and speed > _AT_SPEED * self.bounds.velocity

    def rising(self) -> bool:
        """Whether the first joint is told to go up."""
        two = [received.action.action for received in self.arm.log[-2:]]
        return all(two) and two[1][JOINTS[0]] > two[0][JOINTS[0]]

    def at_rest(self) -> bool:
        """Whether the newest commands are one."""
        last = [received.action.action for received in self.arm.log[-5:]]
        return len(last) == 5 and all(action == last[0] for action in last)

    @contextmanager
    def rival(self, place: Any) -> Iterator[None]:
        """A second program that sends the robot's state: the arm is at `place`, (joints,)."""
        state = dict(zip(JOINTS, map(float, place), strict=True))
        with (
            Robot(ROBOT, ports=self.ports) as robot,
            repeated(lambda: robot.send_state(state, acting=False), _STATE_S),
        ):
            yield

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

    def watch(self, seconds: float, *modes: Mode) -> None:
        """For so long the mode must be one of these; AssertionError otherwise."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if self.arm.mode not in modes:
                raise AssertionError(f"{self.arm.mode!r} instead of {modes!r}")
            time.sleep(0.02)

    def wait_mode(self, *modes: Mode) -> None:
        """Until the newest message has one of these modes."""
        self.wait(lambda: self.arm.mode in modes, "/".join(mode.name for mode in modes))

    def is_healthy(self) -> bool:
        """Every process is there, every camera delivers and chunks are made."""
        status = self.status()
        if not status.get("ready"):
            if self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended: {self.said()[-1500:]}")
            return False
        cameras, inference = status["cameras"], status["inference"]
        roles = [role for _, role in self.processes()]
        return (
            all(roles.count(role) == count for role, count in _ROLES.items())
            and all(camera["state"] == "ok" for camera in cameras.values())
            and all((camera["age_ms"] or 1e9) < self._camera_ms for camera in cameras.values())
            and (self.setup.late or inference["state"] == "running")
        )

    def flight_says(self) -> str:
        """The flight recorder's condition, as status has it."""
        return str(self.status().get("flight", ""))

    def said(self) -> str:
        """What the daemon has printed."""
        return (self.folder / "daemon.log").read_text(errors="replace")

    # --- processes

    def processes(self) -> list[tuple[psutil.Process, str]]:
        """The children that run, each with its role."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.daemon.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    words = child.cmdline()
                    module = next((w for w in words[3:] if w.startswith("actd.runtime.")), "")
                    role = module.rpartition(".")[2]
                    self._known[child.pid] = child
                    found.append((child, _SHORT.get(role, role)))
        return found

    @property
    def _camera_ms(self) -> float:
        return CAMERA_MS + LATE_MS * self.setup.late

    def process(self, target: str) -> psutil.Process:
        """A process by name: supervisor, tick, inference, flight, or `camera` and its name."""
        if target == "supervisor":
            return psutil.Process(self.daemon.pid)
        role, _, name = target.partition(" ")
        for child, found in self.processes():
            if found == role and (not name or (name == "cam_high") == _reads_video(child)):
                return child
        raise AssertionError(f"no process {target}; {self.said()[-1500:]}")

    # --- the end

    def end(self) -> list[str]:
        """End the daemon and everything round it; what went wrong or was left behind, in words."""
        self.processes()
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(PATIENCE_S)
            wrong = self.leftovers() + always(self.life, self.bounds, hull(self.life))[:3]
        except subprocess.TimeoutExpired:
            wrong = ["the daemon did not end"]
        finally:
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

    def close(self) -> None:
        """End what the test itself runs; kill what is left of the daemon."""
        self.arm.close()
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
        self.webcam.replug()
        self.webcam.show = lively()

    # --- the clock

    def step_clock(self, wall_s: int = 0, suspended_s: int = 0) -> None:
        """Set the daemon's wall clock so far ahead of the real one (negative: behind), and have
        it believe that the computer was suspended for so long.
        """
        words = (wall_s.to_bytes(8, sys.byteorder, signed=True) for wall_s in (wall_s, suspended_s))
        self.clock.write_bytes(b"".join(words))

    def _other_clock(self) -> dict[str, str]:
        """Preloads a wall clock that is as wrong as `self.clock` says."""
        library = self.folder / "wallclock.so"
        source = Path(__file__).with_name("wallclock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        return {"LD_PRELOAD": str(library), "ACTD_TEST_CLOCK": str(self.clock)}


def _reads_video(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any(Path(file.path).name == "cam_high.avi" for file in process.open_files())
    return False
