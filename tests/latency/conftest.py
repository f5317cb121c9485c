"""A robot that speaks the wire and is late by a known time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actd.client import Action, Robot
from actd.link.sockets import Ports
from tests.ports import link_section

ROBOT = "late-arm"
JOINTS = {"shoulder": 0.3, "elbow": -0.2, "wrist": 3.0, "gripper": 0.5, "wheel": 0.0}
VELOCITY, ACCELERATION, RATE_HZ = 1.0, 10.0, 50


class LateArm(threading.Thread):
    """Is where it was told to be `dead_s` ago. States go out every 4 ms while `alive`."""

    def __init__(self, ports: Ports, dead_s: float) -> None:
        super().__init__(daemon=True)
        self._ports = ports
        self._dead_s = dead_s
        self.positions = dict(JOINTS)
        self.received: list[Action] = []
        self.env: tuple[float, ...] = ()
        self.acting = True
        self.stubborn = False
        self.alive = True
        self._over = threading.Event()

    def run(self) -> None:
        due: list[tuple[float, Action]] = []
        with Robot(ROBOT, ports=self._ports) as robot:
            while not self._over.is_set():
                if self.alive:
                    robot.send_state(self.positions, self.env, acting=self.acting)
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
                        self.positions.update(told.action)

    @property
    def modes(self) -> set[str]:
        """All modes it has seen."""
        return {action.mode.name for action in self.received}

    def end(self) -> None:
        self._over.set()
        self.join(5)


@pytest.fixture
def config_file(tmp_path: Path, ports: Ports) -> Path:
    path = tmp_path / "actd.yaml"
    rates = f"velocity: {VELOCITY}, acceleration: {ACCELERATION}"
    path.write_text(
        "engine: none\n"
        f"robot:\n  name: {ROBOT}\n  start_distance: 0.2\n  joints:\n"
        f"    shoulder: {{position: [-1, 1], {rates}}}\n"
        f"    elbow: {{position: [-1, 1], {rates}}}\n"
        f"    wrist: {{kind: continuous, {rates}}}\n"
        f"    gripper: {{kind: gripper, position: [0, 1], {rates}}}\n"
        f"    wheel: {{kind: velocity, position: [-1, 1], velocity: {VELOCITY}}}\n"
        f"control: {{rate_hz: {RATE_HZ}}}\n"
        "staleness: {state_ms: 500, controller_ms: 1000}\n"
        f"{link_section(ports)}\n"
    )
    return path


@pytest.fixture
def arm(ports: Ports) -> Iterator[LateArm]:
    subject = LateArm(ports, dead_s=0.1)
    subject.start()
    yield subject
    subject.end()
