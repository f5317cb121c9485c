"""A bus of Feetech STS3215 servos behind a serial port: what an SO-101 is to its computer.

It runs in a process of its own, where nothing keeps it from answering. The port is a
pseudo-terminal; packets are those of the STS protocol (header FF FF, id, length, instruction,
parameters, checksum; a ping is answered as everything is). A servo is its table of registers and a
shaft that follows the goal while torque is on. Its place is written down 200 times a second.
"""

from __future__ import annotations

import os
import pty
import threading
import time
import tty
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from actd.link.age import boottime_ns

STEPS = 4096
MIDDLE = 2048

_READ, _WRITE, _SYNC_READ, _SYNC_WRITE = 0x02, 0x03, 0x82, 0x83
_BROADCAST = 0xFE
_FIRMWARE, _MODEL, _ID, _LOWEST, _HIGHEST = 0, 3, 5, 9, 11
_MODE, _TORQUE, _GOAL, _GOAL_SPEED, _PRESENT, _PRESENT_SPEED = 33, 40, 42, 46, 56, 58
_STS3215 = 777
_STEP_S = 0.005
_PRIORITY = 40
_LATENCY_S = 0.001  # from a request to its answer, as USB takes
_GAIN = 25.0  # 1/s
_SPEED = 3000.0  # steps/s
_HAND = 60.0 * STEPS / 360


class Servo:
    """One servo: `registers`, and where its shaft is, in steps of 360/4096 degrees."""

    def __init__(self, number: int, lowest: int = 0, highest: int = STEPS - 1) -> None:
        self.registers = bytearray(256)
        self.place = float(MIDDLE)
        self.registers[_FIRMWARE : _FIRMWARE + 2] = bytes((3, 10))
        self._set(_MODEL, _STS3215)
        self.registers[_ID] = number
        self._set(_LOWEST, lowest)
        self._set(_HIGHEST, highest)
        self._set(_GOAL, MIDDLE)

    @property
    def torque(self) -> bool:
        return bool(self.registers[_TORQUE])

    @property
    def speed_goal(self) -> int:
        """What a wheel is told, as it is on the wire: 0 is standing."""
        return self._get(_GOAL_SPEED)

    def read(self, address: int, length: int) -> bytes:
        self._set(_PRESENT, round(self.place))
        return bytes(self.registers[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        enabled = self.torque
        self.registers[address : address + len(data)] = data
        if self.torque and not enabled:
            self._set(_GOAL, round(self.place))

    def step(self, seconds: float) -> None:
        if self.registers[_MODE] == 1:
            self._set(_PRESENT_SPEED, self.speed_goal if self.torque else 0)
        elif self.torque:
            speed = max(-_SPEED, min(_SPEED, _GAIN * (self._get(_GOAL) - self.place)))
            self.place += speed * seconds

    def _get(self, address: int) -> int:
        return int.from_bytes(self.registers[address : address + 2], "little")

    def _set(self, address: int, value: int) -> None:
        self.registers[address : address + 2] = value.to_bytes(2, "little")


class FeetechBus:
    """Servos 1 to `count` at `port`. `log`: a line for each sample: the time, places in degrees."""

    def __init__(self, log: Path, count: int) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, log, count), daemon=True)
        self._process.start()
        self.port: str = self._pipe.recv()

    @property
    def torque(self) -> list[bool]:
        """Of each servo, whether it holds."""
        torque: list[bool] = self._ask("torque")
        return torque

    @property
    def speeds(self) -> list[int]:
        """Of each servo, the speed that it is told, as it is on the wire: 0 is standing."""
        speeds: list[int] = self._ask("speeds")
        return speeds

    @property
    def writes(self) -> int:
        """Goals that were written."""
        writes: int = self._ask("writes")
        return writes

    def carry(self, degrees: float) -> None:
        """A hand turns every servo without torque there, at 60 degrees a second."""
        self._ask("carry", degrees)

    def delay(self, seconds: float) -> None:
        """Give the next answer so much later."""
        self._ask("delay", seconds)

    def unplug(self) -> None:
        """Answer nothing any more."""
        self._ask("unplug")

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()

    def _ask(self, what: str, value: float = 0.0) -> Any:
        self._pipe.send((what, value))
        return self._pipe.recv()


def _run(pipe: Any, log: Path, count: int) -> None:
    bus = _Bus(log, count)
    pipe.send(bus.port)
    while True:
        what, value = pipe.recv()
        if what == "unplug":
            bus.unplugged = True
        if what == "delay":
            bus.delay_s = value
        if what == "carry":
            bus.hand = MIDDLE + value * (STEPS - 1) / 360
        answers = {
            "torque": [servo.torque for servo in bus.servos.values()],
            "speeds": [servo.speed_goal for servo in bus.servos.values()],
            "writes": bus.writes,
            "unplug": None,
            "delay": None,
            "carry": None,
        }
        pipe.send(answers[what])


class _Bus:
    """The servos and the two threads that they live in."""

    def __init__(self, log: Path, count: int) -> None:
        self.servos = {number: Servo(number) for number in range(1, count + 1)}
        self.unplugged = False
        self.delay_s = 0.0
        self.hand: float | None = None
        self.writes = 0
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._lock = threading.Lock()
        self._log = log.open("w", buffering=1)
        for work in (self._serve, self._live):
            threading.Thread(target=work, daemon=True).start()

    def _live(self) -> None:
        last_s = time.monotonic()
        while True:
            time.sleep(_STEP_S)
            now_s = time.monotonic()
            with self._lock:
                for servo in self.servos.values():
                    servo.step(now_s - last_s)
                    if self.hand is not None and not servo.torque:
                        most = _HAND * (now_s - last_s)
                        servo.place += max(-most, min(most, self.hand - servo.place))
                places = [(s.place - MIDDLE) * 360 / (STEPS - 1) for s in self.servos.values()]
            last_s = now_s
            self._log.write(f"{boottime_ns()} {' '.join(f'{place:.4f}' for place in places)}\n")

    def _serve(self) -> None:
        with suppress(OSError):  # without the right to it servos are merely less punctual
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        waiting = b""
        while True:
            waiting += os.read(self._master, 4096)
            while (packet := _first_packet(waiting)) is not None:
                waiting = waiting[len(packet) :]
                answer = self._answer(packet)
                if answer and not self.unplugged:
                    delay_s, self.delay_s = self.delay_s, 0.0
                    time.sleep(_LATENCY_S + delay_s)
                    os.write(self._master, answer)

    def _answer(self, packet: bytes) -> bytes:
        number, instruction, parameters = packet[2], packet[4], packet[5:-1]
        with self._lock:
            if instruction == _SYNC_WRITE:
                address, length = parameters[:2]
                for at in range(2, len(parameters), 1 + length):
                    data = parameters[at + 1 : at + 1 + length]
                    self.servos[parameters[at]].write(address, data)
                self.writes += address == _GOAL
                return b""
            if instruction == _SYNC_READ:
                address, length, *numbers = parameters
                return b"".join(_status(n, self.servos[n].read(address, length)) for n in numbers)
            servo = self.servos.get(number)
            if servo is None or number == _BROADCAST:
                return b""
            if instruction == _READ:
                return _status(number, servo.read(*parameters))
            if instruction == _WRITE:
                servo.write(parameters[0], parameters[1:])
            return _status(number)


def _first_packet(data: bytes) -> bytes | None:
    """The packet that `data` begins with, None until it is whole."""
    if len(data) < 4 or len(data) < 4 + data[3]:
        return None
    return data[: 4 + data[3]]


def _status(number: int, data: bytes = b"") -> bytes:
    body = bytes((number, len(data) + 2, 0)) + data
    return b"\xff\xff" + body + bytes((~sum(body) & 0xFF,))
