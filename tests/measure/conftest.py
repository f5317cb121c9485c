"""A robot that speaks the wire and is late by a known time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actd.client import Action, Robot
from actd.link.sockets import Ports

JOINTS = {"shoulder": 0.3, "elbow": -0.2}
VELOCITY, ACCELERATION, RATE_HZ = 1.0, 10.0, 50


class LateArm(threading.Thread):
    """Is where it was told to be `dead_s` ago. States go out every 4 ms while `alive`."""

    def __init__(self, ports: Ports, dead_s: float) -> None:
        super().__init__(daemon=True)
        self._ports = ports
        self._dead_s = dead_s
        self.pose = dict(JOINTS)
        self.received: list[Action] = []
        self.stubborn = False
        self.alive = True
        self._over = threading.Event()

    def run(self) -> None:
        due: list[tuple[float, Action]] = []
        with Robot(ports=self._ports) as robot:
            while not self._over.is_set():
                if self.alive:
                    robot.send_state(self.pose)
                action = robot.receive(0.004)
                now = time.monotonic()
                if action is not None and (
                    not self.received or action.seq != self.received[-1].seq
                ):
                    self.received.append(action)
                    due.append((now + self._dead_s, action))
                while due and due[0][0] <= now:
                    told = due.pop(0)[1]
                    if told.moves and not self.stubborn:
                        self.pose.update(told.action)

    def end(self) -> None:
        self._over.set()
        self.join(5)


@pytest.fixture
def ports(free_ports: list[int]) -> Ports:
    return Ports(*free_ports)


@pytest.fixture
def config_file(tmp_path: Path, ports: Ports) -> Path:
    path = tmp_path / "actd.yaml"
    joint = f"{{position: [-1, 1], velocity: {VELOCITY}, acceleration: {ACCELERATION}}}"
    path.write_text(
        "engine: none\n"
        f"robot: {{start_distance: 0.2, joints: {{shoulder: {joint}, elbow: {joint}}}}}\n"
        f"control: {{rate_hz: {RATE_HZ}}}\n"
        "staleness: {state_ms: 1000}\n"
        f"link: {{state_port: {ports.state}, actions_port: {ports.actions}, "
        f"telemetry_port: {ports.telemetry}, control_port: {ports.control}}}\n"
    )
    return path


@pytest.fixture
def arm(ports: Ports) -> Iterator[LateArm]:
    subject = LateArm(ports, dead_s=0.1)
    subject.start()
    yield subject
    subject.end()
