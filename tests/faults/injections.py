"""The ways to break a running daemon: each breaks it on entry and mends it on exit.

Nothing here is a hook in the product: signals, bytes written into the shared memory of a
running process, pictures, messages, load, a clock and a disk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import msgpack
import psutil

from actd.link import messages
from actd.mode import Mode
from tests.faults.arm import Speech, read_log
from tests.faults.engine import LEVELS
from tests.faults.promise import Received
from tests.faults.rig import Rig
from tests.faults.webcam import Show, jpeg, lively

Injection = Callable[[Rig], Any]
"""Gives a context manager that breaks the rig."""

_MEMORY_BYTES = 2 * 2**30


def send(number: signal.Signals, target: str) -> Injection:
    """SIGKILL, or SIGSTOP until the end."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        process = rig.process(target)
        if number is signal.SIGKILL:
            rig.kills += 1
        process.send_signal(number)
        try:
            yield
        finally:
            if number is signal.SIGSTOP:
                process.send_signal(signal.SIGCONT)

    return inject


# --- pictures: what inference fails at, and what cameras do


def show(picture: Show) -> Injection:
    """Have the camera show something else."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        if rig.webcam is None:
            raise AssertionError("this fault needs a rig with a webcam")
        rig.webcam.show = picture
        try:
            yield
        finally:
            rig.webcam.show = lively()

    return inject


def engine_fails(how: str) -> Injection:
    """Show the grey level at which the engine fails in this way."""
    return show(lively(LEVELS[how]))


def frozen(number: int) -> bytes:
    """The same picture for ever."""
    return jpeg(60)


def every(period: int) -> Show:
    """Only every so many-th picture arrives."""
    return lambda number: lively()(number // period) if number % period == 0 else None


@contextmanager
def unplug(rig: Rig) -> Iterator[None]:
    """The network camera goes away, and comes back at the end."""
    if rig.webcam is None:
        raise AssertionError("this fault needs a rig with a webcam")
    rig.webcam.unplug()
    try:
        yield
    finally:
        rig.webcam.replug()


@contextmanager
def replace_camera(rig: Rig) -> Iterator[None]:
    """Another camera at the same address, with pictures of another height, until the end."""
    with unplug(rig), show(lambda number: jpeg(60 + number % 3, height=96))(rig):
        rig.webcam.replug()
        yield


# --- the robot


def robot_says(speech: Speech) -> Injection:
    """Have the arm say something else of itself."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        proper, rig.arm.speech = rig.arm.speech, speech
        try:
            yield
        finally:
            rig.arm.speech = proper

    return inject


def nothing(pose: Mapping[str, float]) -> None:
    """A robot that has stopped talking."""


def said(values: Mapping[str, object] | float) -> Speech:
    """Every joint is there, or as given: what no robot would say."""

    def speech(pose: Mapping[str, float]) -> bytes:
        state = values if isinstance(values, Mapping) else dict.fromkeys(pose, values)
        packed: bytes = msgpack.packb({"v": messages.VERSION, "seq": 1, "t": 0.0, "state": state})
        return packed

    return speech


@contextmanager
def leave(rig: Rig) -> Iterator[None]:
    """The controller closes its sockets."""
    rig.arm.close()
    try:
        yield
    finally:
        rig.calm()


@contextmanager
def kill_controller(rig: Rig) -> Iterator[None]:
    """The controller is a process, and is killed."""
    file = rig.folder / "controller.log"
    file.unlink(missing_ok=True)
    words = ["-m", "tests.faults.arm", str(rig.ports.state), str(rig.ports.actions), str(file)]
    with subprocess.Popen([sys.executable, *words]) as controller:
        rig.wait(lambda: len(read_log(file)) > 10, "the controller to listen")
        rig.arm.close()
        last = rig.arm.log[-1].action.seq
        rig.wait(lambda: read_log(file)[-1].action.seq > last + 10, "it to be alone")
        controller.kill()
    rig.arm.log += [heard for heard in read_log(file) if heard.action.seq > last]
    try:
        yield
    finally:
        rig.calm()


# --- clock, disk, load


def step_clock(seconds: int) -> Injection:
    """Step the wall clock of every process of the daemon."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        begun = len(rig.arm.log)
        rig.step_clock(seconds)
        rig.wait(lambda: _stepped(rig.arm.log[begun:], seconds), "the daemon's clock to step")
        try:
            yield
        finally:
            rig.step_clock(0)

    return inject


def _stepped(log: list[Received], seconds: int) -> bool:
    return any(abs(heard.action.t - time.time_ns() / 1e9 - seconds) < 60 for heard in log)


@contextmanager
def fill_disk(rig: Rig) -> Iterator[None]:
    """Fill the recorder's disk to the last byte, and make the recorder begin again on it."""
    filler = rig.flights / "filler"
    with suppress(OSError), filler.open("wb") as out:
        while True:
            out.write(bytes(4096))
            out.flush()
    rig.process("flight").kill()
    rig.kills += 1
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


def flood(kind: str) -> Injection:
    """10 000 junk messages a second on one socket."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        port = str(getattr(rig.ports, kind))
        words = [sys.executable, "-m", "tests.faults.junk", kind, port]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sender:
            time.sleep(0.5)  # its interpreter's start
            try:
                yield
            finally:
                sender.terminate()
                rate, _ = sender.communicate()
                rig.notes.append(f"{rate.strip()} junk messages/s")

    return inject


@contextmanager
def flood_and_stop(rig: Rig) -> Iterator[None]:
    """Junk on the control socket, while an operator says stop."""
    with flood("control")(rig):
        time.sleep(1)
        begun_ns = time.monotonic_ns()
        rig.operate("stop")
        rig.notes.append(f"stop answered in {(time.monotonic_ns() - begun_ns) / 1e6:.0f} ms")
        rig.wait_mode(Mode.STOP)
        yield


@contextmanager
def flood_and_leave(rig: Rig) -> Iterator[None]:
    """Junk on the actions socket, and then the controller leaves: that must still be seen."""
    with flood("actions")(rig):
        time.sleep(1.5)
    rig.arm.close()
    try:
        yield
    finally:
        rig.calm()
