"""`actd drive --cameras=robot`: LeRobot's robots with their own cameras, and LeRobot's own host.

Needs an environment with LeRobot (scripts/make-lerobot-venv), named by ACTD_LEROBOT_PYTHON.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from actd.errors import LinkError
from tests.drive.conftest import (
    ROOT,
    SIZE,
    Motion,
    end,
    mode,
    set_in_motion,
    write_config,
    write_swaying_engine,
)
from tests.drive.lerobot_side import (
    DEGREES,
    LEKIWI,
    LEKIWI_MOTORS,
    PLUGINS,
    SO101,
    START_S,
    Begin,
    begin,
    bus,
)
from tests.ports import free_ports
from tests.runtime.conftest import Daemon, start, wait_until

__all__ = ["begin"]  # fixtures

Process = subprocess.Popen[bytes]

pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(600)]


def swaying(mishap: Path, fps: int) -> str:
    """LeRobot's configuration of the test's camera."""
    size = f"width: {SIZE[1]}, height: {SIZE[0]}"
    return f"{{type: swaying, {size}, fps: {fps}, mishap: {mishap}}}"


@contextmanager
def waiting_daemon(folder: Path, motion: Motion, images: int) -> Iterator[Daemon]:
    """A daemon whose camera `front` is served at the port `images`, and is not there yet."""
    ports = free_ports()
    engine = write_swaying_engine(folder / "engine", motion)
    camera = f"type: zmq, server_address: 127.0.0.1, port: {images}, camera_name: front"
    daemon = start(write_config(folder, engine, None, ports, motion, camera), ports)
    try:
        wait_until(lambda: answers(daemon), "the daemon to answer", 30)
        yield daemon
    finally:
        end(daemon)


def answers(daemon: Daemon) -> bool:
    try:
        with daemon.operator() as operator:
            return bool(operator.hello())
    except LinkError:
        return False


@contextmanager
def lekiwi_host(
    python: str, folder: Path, robot: Sequence[str]
) -> Iterator[tuple[Process, list[str]]]:
    """LeRobot's own program on a LeKiwi, at work, and the flags of LeRobot's client for it."""
    ports = free_ports()
    places = f"port_zmq_cmd={ports.state}", f"port_zmq_observations={ports.actions}"
    flags = ["--host.connection_time_s=600", *(f"--host.{place}" for place in places)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGINS)]),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
    }
    said = folder / "host.txt"
    command = [python, str(Path(__file__).with_name("lekiwi_host.py")), *robot, *flags]
    with said.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    client = ["--robot.type=lekiwi_client", "--robot.remote_ip=127.0.0.1", "--robot.id=kiwi"]
    try:
        wait_until(lambda: "No command available" in said.read_text(), "LeRobot's host", START_S)
        yield process, [*client, *(f"--robot.{place}" for place in places)]
    finally:
        process.kill()
        process.wait()


def test_an_so101s_own_camera_shows_the_policy_and_does_not_slow_the_arm(
    begin: Begin, tmp_path: Path
) -> None:
    images, mishap = free_ports().state, tmp_path / "unplugged"
    with (
        waiting_daemon(tmp_path, DEGREES, images) as daemon,
        bus(tmp_path, "so101_follower", SO101) as (_, flags),
    ):
        cameras = f"--robot.cameras={{front: {swaying(mishap, fps=12)}}}"
        words = [cameras, "--cameras=robot", f"--image-server=127.0.0.1:{images}"]
        one = begin(daemon, *flags, *words)
        set_in_motion(daemon, one, by=5, timeout_s=START_S)
        time.sleep(3)

        assert "is none of them" not in one.said
        mishap.touch()
        wait_until(lambda: mode(daemon) in ("HOLD", "FAULT"), "the daemon to hold", 5)
        time.sleep(1.5)  # the camera's driver gives up
        assert one.speed(0.5) < 1.0
        mishap.unlink()
        wait_until(lambda: "camera front: works again" in one.said, "the camera", 20)

        def is_armed() -> bool:
            with daemon.operator() as operator:
                for order in ("reset", "arm"):
                    with suppress(LinkError):
                        operator.request(order)
            return mode(daemon) == "ARMED"

        wait_until(is_armed, "the policy to see again", 30)
        summary = one.leave()
    assert "camera front: TimeoutError: no image of the swaying camera; tried again" in one.said
    assert f"images at 127.0.0.1:{images}, type: zmq in actd.yaml: camera_name front" in one.said
    # The robot itself waits for its camera in every observation: 12 cycles a second.
    assert summary["rate_hz"] > 40


def test_a_lekiwi_behind_its_host_gives_its_images_with_its_observations(
    begin: Begin, lerobot_python: str, tmp_path: Path
) -> None:
    images, mishap = free_ports().state, tmp_path / "unplugged"
    cameras = f"--robot.cameras={{front: {swaying(mishap, fps=30)}}}"
    with (
        waiting_daemon(tmp_path, LEKIWI, images) as daemon,
        bus(tmp_path, "lekiwi", LEKIWI_MOTORS) as (_, flags),
        lekiwi_host(
            lerobot_python, tmp_path, [*flags[1:], "--robot.use_degrees=true", cameras]
        ) as (
            host,
            client,
        ),
    ):
        words = ["--cameras=robot", f"--image-server=127.0.0.1:{images}", "--patience=1"]
        one = begin(daemon, *client, cameras, *words)
        set_in_motion(daemon, one, by=5, timeout_s=START_S)
        time.sleep(1)
        assert one.process.poll() is None, one.said

        # Its client goes on giving the last observation; that is not where the robot is.
        host.kill()
        assert one.wait(20) == 1
        # Its client hangs on the way out, too: it waits for its host to take the last command.
        assert "read: nothing new for " in one.said.splitlines()[-1]
        assert mode(daemon) in ("HOLD", "FAULT")


def test_two_arms_name_their_cameras_by_the_side(lerobot_python: str, tmp_path: Path) -> None:
    arms = [
        flag
        for side in ("left", "right")
        for flag in (
            f"--robot.{side}_arm_config.port=/dev/null",
            f"--robot.{side}_arm_config.cameras={{wrist: {swaying(tmp_path, fps=30)}}}",
        )
    ]
    flags = ["--robot.type=bi_so_follower", "--robot.id=pair", *arms]
    code = (
        "import json, sys; from actd.drive.lerobot_arm import make_arm; "
        "arm, _ = make_arm(sys.argv[1:], keep_torque=True, keep_cameras=True); "
        "print(json.dumps([arm.images, arm.joints.measured, list(arm.joints.units)]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGINS)])}
    environment["HF_HOME"] = str(tmp_path / "hf")
    command = [lerobot_python, "-c", code, *flags]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
    images, measured, units = json.loads(done.stdout.splitlines()[-1])
    joints = [f"{side}_{name}.pos" for side in ("left", "right") for name in SO101]
    assert sorted(images) == ["left_wrist", "right_wrist"]
    assert measured == units == joints


def test_a_camera_of_no_type_is_one_line(begin: Begin, tmp_path: Path) -> None:
    with waiting_daemon(tmp_path, DEGREES, free_ports().state) as daemon:
        words = ["--robot.type=so101_follower", "--robot.port=/dev/null", "--cameras=robot"]
        one = begin(daemon, *words, "--robot.cameras={front: {type: nosuch, width: 64}}")
        assert one.wait(START_S) == 2
    assert (
        "'nosuch' is no type that LeRobot knows here; give LeRobot's" in one.said.splitlines()[-1]
    )


def test_a_robot_without_cameras_is_one_line(begin: Begin, tmp_path: Path) -> None:
    with (
        waiting_daemon(tmp_path, DEGREES, free_ports().state) as daemon,
        bus(tmp_path, "so101_follower", SO101) as (servos, flags),
    ):
        one = begin(daemon, *flags, "--cameras=robot")
        assert one.wait(START_S) == 2
        assert servos.writes == 0
    told = one.said.splitlines()[-1]
    assert told.startswith("--cameras=robot: so101_follower has none; give LeRobot's")
