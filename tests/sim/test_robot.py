"""The robot process, driven over the wire as the daemon drives it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from actd.link import messages, sockets
from actd.link.age import boottime_ns, clock_id
from actd.mode import Mode
from actd.sim.aloha import JOINTS
from actd.sim.homing import HOMING_S, SETTLE_S
from actd.sim.scene import BAR
from tests.ports import HOST, free_ports

pytestmark = pytest.mark.usefixtures("drawing")


class Peer:
    """The daemon's ends of the wire, and the robot at the other."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.video, self.sheet = folder / "run.mp4", folder / "run.png"
        ports = free_ports()
        self._context: zmq.Context[Any] = zmq.Context()
        self._states = sockets.state_receiver(self._context, sockets.endpoint(HOST, ports.state))
        self._actions = sockets.publisher(self._context, sockets.endpoint(HOST, ports.actions))
        command = [sys.executable, "-m", "actd.sim.robot", "--state-port", str(ports.state)]
        command += ["--actions-port", str(ports.actions)]
        command += ["--record", str(self.video), "--sheet", str(self.sheet), *words]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())
        self._seq = 0

    def state(self) -> dict[str, float]:
        """The newest state; waits for one that is sent from now on."""
        while self._states.poll(0):
            self._states.recv()
        assert self._states.poll(10_000), "the robot sends no state"
        return messages.parse_state(self._states.recv()).state

    def command(self, targets: dict[str, float], mode: Mode) -> None:
        """Send one action."""
        self._seq += 1
        action = messages.Action(
            robot="aloha",
            boot="test",
            clock=clock_id(),
            seq=self._seq,
            t=0.0,
            t_boot_ns=boottime_ns(),
            ttl_ms=100.0,
            mode=mode,
            action=targets,
            rest=targets,
            rest_ms=0.0,
            chunk=1,
            age_ms=0.0,
            n=1,
            infer_ms=0.0,
            late_us=0.0,
            flags=0,
            reason="",
        )
        self._actions.send(messages.pack_action(action))

    def drive(self, targets: dict[str, float], mode: Mode, seconds: float) -> dict[str, float]:
        """Command at 50 Hz; the last state."""
        for _ in range(round(seconds * 50)):
            self.command(targets, mode)
            time.sleep(0.02)
        self.state()  # one that was already under way
        return self.state()

    def view(self) -> NDArray[np.int16]:
        """What the first camera shows now."""
        stream = cv2.VideoCapture(next(iter(self.ready["cameras"].values())))
        for _ in range(3):
            is_read, image = stream.read()
            assert is_read
        stream.release()
        return image.astype(np.int16)

    def end(self) -> dict[str, Any]:
        """What the robot says of its run, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        *self.scores, done = (json.loads(line) for line in out.splitlines())
        return dict(done["done"])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._context.destroy(linger=0)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    robot = Peer(tmp_path)
    yield robot
    robot.close()


@pytest.mark.slow
def test_follows_only_modes_that_move_and_reports_its_run(peer: Peer) -> None:
    start = peer.state()
    assert list(start) == list(JOINTS)
    targets = start | {"left_arm_waist": 0.4}
    assert peer.drive(targets, Mode.IDLE, 0.5)["left_arm_waist"] == pytest.approx(0, abs=0.02)
    assert peer.drive(targets, Mode.ARMED, 2.0)["left_arm_waist"] == pytest.approx(0.4, abs=0.05)
    time.sleep(0.3)  # past the ttl: nothing valid comes any more, and it must hold
    peer.state()
    assert peer.state()["left_arm_waist"] == pytest.approx(0.4, abs=0.05)
    done = peer.end()
    assert done["moved_rad"] >= 0.35
    assert all(done["frames"][name] > 0 for name in BAR.cameras)
    assert peer.video.stat().st_size > 0
    assert peer.sheet.stat().st_size > 0


@pytest.mark.slow
def test_released_after_an_attempt_it_goes_home_by_itself(peer: Peer) -> None:
    start = peer.state()
    assert peer.drive(start | {"left_arm_waist": 0.6}, Mode.ARMED, 1.5)["left_arm_waist"] > 0.4
    assert peer.drive(start | {"left_arm_waist": 0.6}, Mode.HOLD, 0.5)["left_arm_waist"] > 0.4
    end = peer.drive({}, Mode.IDLE, HOMING_S + SETTLE_S + 1.0)
    assert max(abs(end[name] - start[name]) for name in JOINTS) < 0.03
    done = peer.end()
    assert (done["attempts"], done["successes"], done["stage"]) == (1, 0, "home")
    stages = [message["score"]["stage"] for message in peer.scores]
    assert stages == ["working", "returning", "home"]


@pytest.mark.slow
@pytest.mark.parametrize("shift_cm", [0, 4])
def test_an_object_is_moved_while_an_attempt_lasts(tmp_path: Path, shift_cm: int) -> None:
    peer = Peer(tmp_path, "--seed", "1", "--shift-cm", str(shift_cm))
    try:
        start = peer.state()
        peer.drive(start, Mode.ARMED, 0.5)
        before = peer.view()
        peer.drive(start, Mode.ARMED, 1.5)  # the arms stay: what changes is the object
        changed = (np.abs(peer.view() - before).max(axis=2) > 60).sum()
        peer.drive(start, Mode.ARMED, 1.5)
        again = (np.abs(peer.view() - before).max(axis=2) > 60).sum()
    finally:
        peer.close()
    if shift_cm:
        assert changed > 50
        assert again == pytest.approx(changed, rel=0.2)  # once in an attempt
    else:
        assert changed < 10


@pytest.mark.parametrize("camera", BAR.cameras)
def test_cameras_are_ordinary_network_cameras(peer: Peer, camera: str) -> None:
    video = cv2.VideoCapture(peer.ready["cameras"][camera], cv2.CAP_FFMPEG)
    try:
        images = [video.read() for _ in range(5)]
    finally:
        video.release()
    assert all(ok for ok, _ in images)
    assert {image.shape for _, image in images} == {(BAR.height, BAR.width, 3)}


def test_an_action_for_another_robot_ends_it_with_one_line(peer: Peer) -> None:
    for _ in range(500):
        peer.command({"gripper": 0.0}, Mode.ARMED)
        if peer.process.poll() is not None:
            break
        time.sleep(0.02)
    assert peer.process.wait(10) == 1
    assert peer.process.stderr is not None
    assert "action.gripper: this robot has no such joint" in peer.process.stderr.read()
