"""One demo run, from start to summary: policy, robot, daemon, attempts, clean up.

Owns the order of the steps and the cleanup. The robot is a process of its own that speaks the wire
as any robot would, and the daemon is `actd run`. However the run ends (time, Ctrl-C, a failure), no
process and no temporary file is left.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from actd.client import Operator
from actd.demo import deployment, report
from actd.demo.attempts import Attempts
from actd.demo.policy import find_policy
from actd.demo.processes import DemoProcess
from actd.errors import ActdError, LinkError, UsageError
from actd.flightlog.reader import FLIGHTS
from actd.interrupts import Interrupts
from actd.link.sockets import Ports
from actd.sim.scene import SCENES

NEXT = "next: actd export CHECKPOINT --out engines/mine --engine ort-int8   (your own policy)"
VIDEO, SHEET = "demo.mp4", "demo.png"

ROBOT_START_S = 30.0
READY_S = 120.0
WRITE_S = 120.0
POLL_S = 0.1
ARM_POLL_S = 0.02
PLAIN_LINE_S = 5.0
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Options:
    """The user's options. seconds None: until Ctrl-C; chunk_mode None: as in demo.yaml; policy, an
    engine or a checkpoint, None: the demo's own; seed None: other places every time. Video and
    contact sheet go to `out`. shift_cm: how far the object is moved after each attempt begins.
    robot_nice: of the simulated robot's process; None: it makes way for the daemon.
    """

    seconds: float | None
    headless: bool
    policy: str | None
    chunk_mode: str | None
    out: Path
    realtime: str
    seed: int | None
    shift_cm: float = 0.0
    robot_nice: int | None = None


def run_demo(options: Options, *, as_json: bool) -> int:
    """Drive the simulated robot and report the loop timing; return the exit code.

    With `as_json` the last line of stdout is one JSON object and all else goes to stderr. Raises
    ActdError, with nothing left running.
    """
    started_s = time.monotonic()
    console = Console(stderr=as_json)
    try:
        with Interrupts() as interrupts, ExitStack() as stack:
            result = _run(options, stack, interrupts, Screen(console), started_s)
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left running")
        return INTERRUPTED
    console.print(report.table(result))
    console.print(f"video: {result['video']}\nsheet: {result['sheet']}", soft_wrap=True)
    console.print(f"report as a page: actd report {options.out}\n{NEXT}", soft_wrap=True)
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
    if result["mode"] in ("FAULT", "STOP"):
        raise ActdError(
            f"the daemon left ARMED for {result['mode']} ({result['reason'] or 'no reason given'})"
            "; see the table above; on a busy computer, close other programs"
        )
    return 0


def _run(
    options: Options, stack: ExitStack, interrupts: Interrupts, screen: Screen, started_s: float
) -> dict[str, Any]:
    _prepare_out(options.out, stack)
    policy = find_policy(options.policy, screen.say)
    scene = SCENES[policy.scene]
    screen.say(f"task: {scene.task}")
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actd-demo-")))
    ports = deployment.free_ports()
    robot = _start_robot(scratch, ports, policy.scene, options)
    stack.callback(robot.end, 0)
    cameras = robot.read_line(ROBOT_START_S)["cameras"]
    file = scratch / "actd.yaml"
    if ports != Ports():
        screen.say(f"some of the usual ports are in use; commands for this daemon: --config {file}")
    deployment.write(
        file,
        engine=policy.engine,
        policy_hz=policy.hz,
        cameras=cameras,
        size=(scene.height, scene.width),
        fps=scene.camera_hz,
        flights=options.out / FLIGHTS,
        ports=ports,
        chunk_mode=options.chunk_mode,
        realtime=options.realtime,
    )
    command = [sys.executable, "-m", "actd", "run", str(file)]
    daemon = DemoProcess("daemon", command, scratch / "log")
    stack.callback(daemon.end)
    interrupts.defer()
    operator = stack.enter_context(Operator(ports=ports))

    def check() -> None:
        interrupts.check()
        daemon.check()
        robot.check()

    run = Drive(operator, robot, check, screen)
    with screen:
        run.until_armed()
        first_armed_s = time.monotonic() - started_s
        operator.request("clear")  # the figures begin with the first armed tick
        seconds = run.until_over(options.seconds)
        interrupts.take()
        check()
        status = operator.status()
    screen.say("stopping; writing video and contact sheet")
    daemon.end()
    robot.ask_to_end()
    summary = _summary(robot)
    return report.result(status) | {
        "successes": summary["successes"],
        "attempts": summary["attempts"],
        "faults": run.attempts.faults,
        "shift_cm": options.shift_cm,
        "seconds": round(seconds, 3),
        "first_armed_s": round(first_armed_s, 3),
        "moved_rad": summary["moved_rad"],
        "robot": summary,
        "reason": status["reason"] or run.attempts.reason,
        "video": _move_to(scratch / VIDEO, options.out),
        "sheet": _move_to(scratch / SHEET, options.out),
    }


def _start_robot(scratch: Path, ports: Ports, scene: str, options: Options) -> DemoProcess:
    command = [sys.executable, "-m", "actd.sim.robot", "--scene", scene]
    command += ["--state-port", str(ports.state), "--actions-port", str(ports.actions)]
    command += ["--record", str(scratch / VIDEO), "--sheet", str(scratch / SHEET)]
    command += ["--window"] if not options.headless and _has_display() else []
    command += [] if options.seed is None else ["--seed", str(options.seed)]
    command += ["--shift-cm", str(options.shift_cm)]
    command += [] if options.robot_nice is None else ["--nice", str(options.robot_nice)]
    return DemoProcess("simulated robot", command, scratch / "robot.log", speaks=True)


def _summary(robot: DemoProcess) -> dict[str, Any]:
    """What the robot says of its run, after what it has not been asked about."""
    while True:
        message = robot.read_line(WRITE_S)
        if "done" in message:
            summary: dict[str, Any] = message["done"]
            return summary


class Drive:
    """The demo's operator at work: orders on the wire, the status on the screen."""

    def __init__(
        self, operator: Operator, robot: DemoProcess, check: Callable[[], None], screen: Screen
    ) -> None:
        self.attempts = Attempts()
        self._operator = operator
        self._robot = robot
        self._check = check
        self._screen = screen
        self._score: Mapping[str, Any] = {"stage": "home", "attempts": 0, "successes": 0}

    def until_armed(self) -> None:
        """Wait until the daemon can be armed, arm it, and wait for the first armed tick."""
        deadline_s = time.monotonic() + READY_S
        reason = "the daemon's first answer"
        while time.monotonic() < deadline_s:
            self._check()
            self._screen.show(f"waiting: {reason}")
            with suppress(LinkError):  # not listening yet
                status = self._operator.status()
                reason = report.waiting_for(status)
                counts: Mapping[str, int] = status["control"]["mode_counts"]
                if counts.get("ARMED", 0) > 0:
                    return
                if status["ready"]:
                    try:
                        self._operator.arm()
                    except LinkError as rejection:
                        reason = str(rejection)
            time.sleep(ARM_POLL_S)
        raise ActdError(f"the daemon was not ready after {READY_S:g} s; still waiting: {reason}")

    def until_over(self, seconds: float | None) -> float:
        """Attempt the task until the time is up or Ctrl-C; return the elapsed seconds."""
        start_s = time.monotonic()
        elapsed_s = 0.0
        with suppress(KeyboardInterrupt):
            while (seconds is None or elapsed_s < seconds) and not self.attempts.is_over:
                self._check()
                self._attend()
                elapsed_s = time.monotonic() - start_s
                left_s = POLL_S if seconds is None else seconds - elapsed_s
                time.sleep(max(0, min(POLL_S, left_s)))
        return time.monotonic() - start_s

    def _attend(self) -> None:
        """Look once, and give the order that is due."""
        for message in self._robot.read_lines():
            self._score = message.get("score", self._score)
        status = self._operator.status()
        faults, interrupted = self.attempts.faults, self.attempts.interrupted
        order = self.attempts.next_order(
            status["mode"],
            status["reason"],
            self._score["stage"],
            self._score["successes"],
            time.monotonic(),
        )
        words = f"{self._score['successes']} of {self._score['attempts']} attempts done  "
        self._screen.show(words + report.line(status))
        if self.attempts.faults > faults:
            self._screen.say(f"{status['mode']}: {self.attempts.reason}")
        if self.attempts.interrupted and not interrupted:
            self._screen.say(
                f"{status['mode']}: {self.attempts.interrupted}; the demo waits, and goes on after "
                "`actd reset`"
            )
        if order is not None:
            with suppress(LinkError):  # not yet possible: ordered again, from what is seen then
                self._operator.request(order)


class Screen:
    """Lines for the user: one refreshed in place on a terminal, else one every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._next_s = 0.0

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self._console.print(text, soft_wrap=True, highlight=False)

    def show(self, text: str) -> None:
        """Show the newest status."""
        if self._console.is_terminal:
            self._live.update(Text(text, overflow="ellipsis", no_wrap=True), refresh=True)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + PLAIN_LINE_S
            self.say(text)

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _prepare_out(out: Path, stack: ExitStack) -> None:
    existed = out.is_dir()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be created: {error.strerror}") from None
    if not os.access(out, os.W_OK):
        raise UsageError(f"--out {out}: not writable; choose another folder")
    if not existed:
        stack.callback(_remove_if_empty, out)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _move_to(file: Path, out: Path) -> str:
    return str(shutil.move(str(file), str(out / file.name)))


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
