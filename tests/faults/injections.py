"""The ways to break a running daemon: each breaks it on entry and mends it on exit.

Nothing here is a hook in the product: signals, bytes written into the shared memory or the pipes
of a running process, images, load, clocks and a disk. What the arm does is in `mishaps`, what
is ordered in `orders`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psutil

from actd.client import Robot
from actd.mode import Mode
from tests.faults.arm import ROBOT
from tests.faults.engine import LEVELS
from tests.faults.rig import Rig
from tests.faults.webcam import Show, jpeg, lively

Injection = Callable[[Rig], Any]
"""Gives a context manager that breaks the rig."""

_MEMORY_BYTES = 2 * 2**30
_HOUR_S = 3600
SUSPENDED_MS = 200
_LINE_BYTES = 100_000
_PIDFD_GETFD = 438
_libc = ctypes.CDLL(None, use_errno=True)
_EACH_S = 0.4


@contextmanager
def undisturbed(rig: Rig) -> Iterator[None]:
    """Nothing: the deployment is what is tried."""
    yield


# --- processes


def send(number: signal.Signals, target: str) -> Injection:
    """SIGKILL, or SIGSTOP until the end."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        process = rig.process(target)
        if number is signal.SIGKILL:
            rig.kills[target] += 1
        process.send_signal(number)
        try:
            yield
        finally:
            if number is signal.SIGSTOP:
                process.send_signal(signal.SIGCONT)

    return inject


@contextmanager
def each_in_turn(rig: Rig) -> Iterator[None]:
    """Every process stopped for a while, and then those killed that come back."""
    rig.strike()
    for target in (
        "flight",
        "camera cam_high",
        "camera cam_low",
        "inference",
        "supervisor",
        "tick",
    ):
        with send(signal.SIGSTOP, target)(rig):
            time.sleep(_EACH_S)
    for target in ("flight", "camera cam_high", "inference"):
        with send(signal.SIGKILL, target)(rig):
            pass
    yield


def to_group(number: signal.Signals) -> Injection:
    """To the daemon and all its processes, as a terminal does."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        os.killpg(rig.daemon.pid, number)
        try:
            yield
        finally:
            if number is signal.SIGSTOP:
                os.killpg(rig.daemon.pid, signal.SIGCONT)

    return inject


@contextmanager
def kill_tick(rig: Rig) -> Iterator[None]:
    """With a controller that is too busy to look, and finds an old message later."""
    with Robot(ROBOT, ports=rig.ports) as busy:
        time.sleep(0.3)
        rig.strike()
        with send(signal.SIGKILL, "tick")(rig):
            time.sleep(0.5)
            late = busy.receive(0.1)
            if late is not None:
                raise AssertionError(f"a client that looks 0.5 s later follows seq {late.seq}")
            yield


@contextmanager
def shout(rig: Rig) -> Iterator[None]:
    """A line without end on a child's stderr and stdout, as an engine's debug dump is."""
    pidfd = os.pidfd_open(rig.process("inference").pid)
    try:
        for number in (1, 2):
            borrowed = _libc.syscall(ctypes.c_long(_PIDFD_GETFD), pidfd, number, 0)
            if borrowed < 0:
                raise AssertionError(os.strerror(ctypes.get_errno()))
            with open(borrowed, "wb", buffering=0) as stream:
                left = _LINE_BYTES
                while left > 0:
                    left -= stream.write(b"x" * left) or 0
    finally:
        os.close(pidfd)
    yield


# --- images: what inference fails at, and what cameras do


def show(image: Show) -> Injection:
    """Have the camera show something else."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        rig.webcam.show = image
        try:
            yield
        finally:
            rig.webcam.show = lively()

    return inject


def engine_fails(how: str) -> Injection:
    """Show the grey level at which the engine fails in this way."""
    return show(lively(LEVELS[how]))


def frozen(number: int) -> bytes:
    """The same image for ever."""
    return jpeg(60)


def every(period: int) -> Show:
    """Only every so many-th image arrives."""
    return lambda number: lively()(number // period) if number % period == 0 else None


@contextmanager
def unplug(rig: Rig) -> Iterator[None]:
    """The network camera goes away, and comes back at the end."""
    rig.webcam.unplug()
    try:
        yield
    finally:
        rig.webcam.replug()


@contextmanager
def replace_camera(rig: Rig) -> Iterator[None]:
    """Another camera at the same address, with images of another height, until the end."""
    with unplug(rig), show(lambda number: jpeg(60 + number % 3, height=96))(rig):
        rig.webcam.replug()
        yield


# --- clocks, disk, load


@contextmanager
def step_wall_clock(rig: Rig) -> Iterator[None]:
    """An hour ahead, and then an hour behind."""
    for seconds in (_HOUR_S, -_HOUR_S):
        _step(rig, seconds)
        rig.watch(0.5, Mode.ARMED)
    try:
        yield
    finally:
        rig.step_clock()


def _step(rig: Rig, seconds: int) -> None:
    def stepped() -> bool:
        return abs(rig.arm.log[-1].action.t - time.time_ns() / 1e9 - seconds) < 60

    rig.step_clock(wall_s=seconds)
    rig.wait(stepped, "the daemon's clock to step")


@contextmanager
def suspend(rig: Rig) -> Iterator[None]:
    """The computer was suspended for an hour: only one of its clocks says so."""
    # Judged as if that had been a short silence: the arm, too, must have had the time to stop.
    rig.arm.ahead_ns = _HOUR_S * 10**9 - SUSPENDED_MS * 10**6
    rig.step_clock(suspended_s=_HOUR_S)
    yield


@contextmanager
def fill_disk(rig: Rig) -> Iterator[None]:
    """Fill the recorder's disk to the last byte, and make the recorder begin again on it."""
    filler = rig.flights / "filler"
    with suppress(OSError), filler.open("wb") as out:
        while True:
            out.write(bytes(4096))
            out.flush()
    rig.process("flight").kill()
    rig.kills["flight"] += 1
    rig.wait(lambda: "disk full" in rig.flight_says(), "the recorder to complain", rig.flight_says)
    said = rig.flight_says().replace(str(rig.folder), "")
    rig.notes.append(f"status says `{said}`")
    try:
        yield
    finally:
        filler.unlink()
        rig.wait(lambda: "recording" in rig.flight_says(), "it to record again", rig.flight_says)


@contextmanager
def hog_cpu(rig: Rig) -> Iterator[None]:
    """Twice as many busy processes as there are cores."""
    with ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            stack.enter_context(_program("while True: pass"))
        yield


@contextmanager
def hog_memory(rig: Rig) -> Iterator[None]:
    """A process that walks through half of the free memory, at most 2 GiB, over and over."""
    size = min(psutil.virtual_memory().available // 2, _MEMORY_BYTES)
    with _program(f"b = bytearray({size})\nwhile True:\n    b[::4096] = b[1::4096]"):
        yield


@contextmanager
def _program(text: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", text]) as program:
        try:
            yield
        finally:
            program.kill()
