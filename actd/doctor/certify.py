"""Measure a certificate: the deployment's own daemon, armed, beside a loop that does nothing.

The daemon is `actd run` with this deployment's engine and cameras, on ports of its own, where a
simulated arm is at once wherever it is told to be: the real arm is not moved. Clean and contended
minutes alternate, so that a computer that grows warm does so for both; contended means a busy
process for each core.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from actd import host
from actd.client import Operator
from actd.codec import encode
from actd.config import Config
from actd.doctor.certificate import PHASES, Bare, Certificate, Evidence, Steal, judge
from actd.doctor.computer import stolen_ms
from actd.doctor.loop_process import ArmJob, LoopJob
from actd.engine.manifest import read_manifest
from actd.errors import ActdError, LinkError
from actd.flightlog.reader import read_flight
from actd.interrupts import Interrupts
from actd.link.sockets import Ports, free_ports
from actd.mode import Mode
from actd.runtime import settings
from actd.runtime.clock import now_ns
from actd.runtime.realtime import Wish
from actd.runtime.schedule import period_of

_TURN_S = 60.0
_SETTLE_S = 2.0
_BARE_HZ = 500.0
_READY_S = 180.0
_PATIENCE_S = 10.0
_POLL_S = 0.2
_END_S = 10.0
_ROLE = ("actd.doctor.loop_process",)
_WAKES = "wakes.npy"


def certify(config: Config, seconds: float, tell: Callable[[str], object]) -> Certificate:
    """Run the deployment for `seconds`, half of them contended.

    Raises ActdError where the daemon does not come to work, with what it said last.
    """
    with Interrupts(), ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actd-certify-")))
        ports = free_ports()
        daemon = _Process(stack, ["actd", "run", str(_write(config, ports, scratch))], scratch)
        _Process(stack, [*_ROLE, "arm"], scratch, _arm(config, ports))
        operator = stack.enter_context(Operator(ports=ports, robot=config.robot.name))
        tell("starting the daemon; the arm is simulated, and yours is not moved")
        granted = _wait_armed(operator, daemon, tell)
        bare = _Process(stack, [*_ROLE, "loop"], scratch, _bare(config, seconds, scratch))
        busy = [_Process(stack, [*_ROLE, "burn"], scratch) for _ in os.sched_getaffinity(0)]
        rig = _Rig(operator, (daemon, bare), busy)
        plan = turns(seconds)
        for number, (name, turn_s) in enumerate(plan):
            tell(f"{number + 1} of {len(plan)}: {name}, {turn_s:.0f} s")
            rig.take_turn(name, turn_s)
        for process in (bare, daemon):
            process.stop()
        flight = read_flight(scratch / "flights")
        wakes = np.load(scratch / _WAKES)
    if flight.gaps:
        raise ActdError(f"certify: {len(flight.gaps)} gaps in the flight log; the disk is too slow")
    evidence = Evidence(
        flight.ticks,
        flight.chunks,
        Bare(wakes["due_ns"], wakes["late_ns"]),
        rig.steals,
        round(period_of(config.control.rate_hz)),
    )
    phases = tuple(judge(name, rig.windows[name], evidence) for name in PHASES)
    return Certificate(_facts(config), granted, phases)


def turns(seconds: float) -> list[tuple[str, float]]:
    """Which phase comes when, and for how long: about a minute each, both as often."""
    pairs = max(1, round(seconds / (2 * _TURN_S)))
    return [(name, seconds / (2 * pairs)) for _ in range(pairs) for name in PHASES]


def bare_hz(rate_hz: float) -> float:
    """How often the bare loop wakes: so often that no stall that delays a tick by half a period
    passes between two wake-ups.
    """
    return max(_BARE_HZ, 4 * rate_hz)


class _Rig:
    """What runs, and when each phase did; `watched` may not end, `busy` make contention."""

    def __init__(
        self, operator: Operator, watched: Sequence[_Process], busy: Sequence[_Process]
    ) -> None:
        self._operator, self._watched, self._busy = operator, watched, busy
        self.windows: dict[str, list[tuple[int, int]]] = {name: [] for name in PHASES}
        self.steals: list[Steal] = []
        self._signal(signal.SIGSTOP)

    def take_turn(self, name: str, seconds: float) -> None:
        """One phase for so long. Raises ActdError where a process that is watched ends."""
        self._signal(signal.SIGCONT if name == "contended" else signal.SIGSTOP)
        time.sleep(min(_SETTLE_S, seconds / 4))
        start_ns = now_ns()
        until_ns = start_ns + round(seconds * 1e9)
        while (before_ns := now_ns()) < until_ns:
            before_ms = stolen_ms()
            time.sleep(_POLL_S)
            taken_ns = round((stolen_ms() - before_ms) * 1e6)
            self.steals.append(Steal(before_ns, now_ns(), taken_ns))
            for process in self._watched:
                process.check()
            with suppress(LinkError):  # it counts as not armed
                _arm_again(self._operator)
        self.windows[name].append((start_ns, now_ns()))
        self._signal(signal.SIGSTOP)

    def _signal(self, number: int) -> None:
        for process in self._busy:
            process.signal(number)


def _arm_again(operator: Operator) -> dict[str, Any]:
    """Whatever prevents it is given time to go by itself; the status then."""
    status = operator.status()
    if status["mode"] in (Mode.FAULT.name, Mode.STOP.name):
        operator.reset()
    elif status["mode"] in (Mode.IDLE.name, Mode.HOLD.name):
        operator.approach()
    return status


def _wait_armed(
    operator: Operator, daemon: _Process, tell: Callable[[str], object]
) -> dict[str, str]:
    """Until the policy drives the simulated arm; what the kernel granted the tick process."""
    began_s, problem, told = time.monotonic(), "it does not answer", ""
    while time.monotonic() - began_s < _READY_S:
        daemon.check()
        try:
            status = _arm_again(operator)
            if status["mode"] == Mode.ARMED.name:
                granted: dict[str, str] = status["processes"]["tick"]
                return granted
        except LinkError as error:
            problem = str(error)
        if problem != told and time.monotonic() - began_s > _PATIENCE_S:
            told = problem
            tell(f"waiting, {_READY_S:.0f} s at most: {problem}")
        time.sleep(_POLL_S)
    raise ActdError(f"certify: the daemon cannot be armed: {problem}")


def _facts(config: Config) -> dict[str, Any]:
    return {
        "robot": config.robot.name,
        "engine": str(config.engine),
        "rate_hz": config.control.rate_hz,
        "cameras": len(config.cameras),
        **host.machine(),
    }


def _write(config: Config, ports: Ports, scratch: Path) -> Path:
    """The same deployment on other ports, with a flight log of its own."""
    data = config.model_dump(mode="json", exclude_unset=True)
    data["engine"] = str(config.engine.resolve())
    data["flight"] = {"folder": str(scratch / "flights"), "max_mb": 16384}
    data["dashboard"] = {"enabled": False}
    link = {f"{name}_port": port for name, port in asdict(ports).items()}
    data["link"] = {**data.get("link", {}), "host": "127.0.0.1", **link}
    path = scratch / "actd.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def _arm(config: Config, ports: Ports) -> ArmJob:
    start = config.poses.start or {}
    positions = {}
    for joint in config.joints:
        low, high = joint.lower or 0.0, joint.upper or 0.0
        middle = 0.0 if low <= 0.0 <= high else (low + high) / 2
        positions[joint.name] = start.get(joint.name, middle)
    env_dim = settings.dims(read_manifest(config.engine).spec, "ENV")
    return ArmJob(config.robot.name, ports, positions, tuple(config.robot.state_names), env_dim)


def _bare(config: Config, seconds: float, scratch: Path) -> LoopJob:
    """As the tick asks to be run."""
    share = settings.share_cores(config)
    longest_s = 2 * seconds + _READY_S  # it is ended before
    wish: Wish = "off" if config.process.realtime == "off" else "prefer"
    return LoopJob(
        bare_hz(config.control.rate_hz),
        longest_s,
        now_ns() + 1_000_000_000,
        wish,
        config.process.tick.priority,
        share.tick,
        str(scratch / _WAKES),
    )


class _Process:
    """A process of the measurement; it and all that it started end with the stack."""

    def __init__(
        self, stack: ExitStack, command: Sequence[str], scratch: Path, job: object = None
    ) -> None:
        self._name = command[-1] if command[0] != "actd" else "daemon"
        self._log = scratch / f"{self._name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # there are no threads yet
            )
        stack.callback(self._end)
        stdin = self._process.stdin
        if stdin is not None:
            with suppress(BrokenPipeError), stdin:
                stdin.write(b"" if job is None else json.dumps(encode(job)).encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send a signal to it."""
        self._process.send_signal(number)

    def check(self) -> None:
        """Raise ActdError, with what it said last, if it has ended."""
        if self._process.poll() is not None:
            lines = self._log.read_text(errors="replace").strip().splitlines()
            raise ActdError(f"certify: the {self._name} ended: {(lines or ['it was killed'])[-1]}")

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            raise ActdError(f"certify: the {self._name} does not end") from None

    def _end(self) -> None:
        for number in (signal.SIGCONT, signal.SIGTERM):
            self.signal(number)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _end_with_parent() -> None:
    host.end_with_parent(signal.SIGKILL)
