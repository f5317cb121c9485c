"""The daemon as a robot and an operator meet it: real processes, sockets, frames, engine."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from actd.errors import LinkError
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.sim.mjpeg import MjpegServer
from tests.runtime.conftest import Arm, Daemon, start, wait_until, write_config
from tests.videos import write_video


def armed(daemon: Daemon, arm: Arm) -> None:
    """Arm as an operator does: again, while the first chunk is still being made."""

    def accepted() -> bool:
        arm.cycle(0.1)
        try:
            operator.arm()
        except LinkError as error:
            if "the chunk has not delivered" not in str(error):
                raise
            return False
        return True

    with daemon.operator() as operator:
        arm.cycle(15, until=lambda a: a.chunk > 0 and a.mode in (Mode.IDLE, Mode.HOLD))
        wait_until(accepted, "the daemon to arm")
    arm.cycle(5, until=lambda a: a.mode is Mode.ARMED)
    assert arm.received[-1].mode is Mode.ARMED


def test_a_life_from_ready_to_stop(daemon: Daemon) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        hello = operator.hello()
        assert hello["joints"][:2] == ["j0", "j1"]
        assert hello["schema"] == 1
        with pytest.raises(LinkError, match="robot state has not delivered"):
            operator.arm()

        arm = Arm(robot)
        armed(daemon, arm)
        arm.cycle(1.5)
        moved = np.array(list(arm.positions.values()))
        assert np.abs(moved).max() > 0.02
        status = operator.status()
        assert status["control"]["mode_counts"]["ARMED"] > 30
        assert status["inference"]["chunks"] > 5
        assert all(camera["state"] == "ok" for camera in status["cameras"].values())

        operator.hold()
        arm.cycle(5, until=lambda a: a.mode is Mode.HOLD)
        arm.cycle(0.5)
        held = dict(arm.positions)
        arm.cycle(0.3)
        assert arm.positions == held

        operator.arm()
        arm.cycle(5, until=lambda a: a.mode is Mode.ARMED)
        daemon.process.send_signal(signal.SIGTERM)
        arm.cycle(5, until=lambda a: a.mode is Mode.STOP)
        assert [a.mode for a in arm.received[-8:]].count(Mode.HOLD) >= 1
    code, output = daemon.finish()
    assert code == 0, output
    assert daemon.leftovers() == []


def test_consecutive_commands_obey_the_limits_over_the_wire(daemon: Daemon) -> None:
    with daemon.robot() as robot:
        arm = Arm(robot)
        armed(daemon, arm)
        arm.cycle(2)
    commands = [(a.seq, np.array(list(a.action.values()))) for a in arm.received if a.action]
    assert len(commands) > 50
    for (seq, before), (next_seq, after) in itertools.pairwise(commands):
        assert np.abs(after - before).max() <= 3 * 0.02 * (next_seq - seq) + 1e-9


@pytest.mark.slow
def test_a_robot_that_goes_silent_is_held_then_faulted_and_not_re_engaged(daemon: Daemon) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        armed(daemon, arm)
        wait_until(lambda: operator.status()["mode"] == "HOLD", "HOLD")
        wait_until(lambda: operator.status()["mode"] == "FAULT", "FAULT")
        arm.cycle(1)
        assert arm.received[-1].mode is Mode.FAULT
        with pytest.raises(LinkError, match="`actd reset` first"):
            operator.arm()
        operator.reset()
        armed(daemon, arm)


def test_a_killed_inference_faults_comes_back_and_waits_for_the_operator(daemon: Daemon) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        armed(daemon, arm)
        daemon.child("inference").kill()
        arm.cycle(5, until=lambda a: a.mode is Mode.FAULT)
        assert arm.received[-1].mode is Mode.FAULT
        chunk = arm.received[-1].chunk
        arm.cycle(20, until=lambda a: a.chunk > chunk)
        arm.cycle(1)
        assert arm.received[-1].mode is Mode.FAULT
        assert operator.status()["inference"]["restarts"] == 1
        operator.reset()
        armed(daemon, arm)


def test_a_killed_supervisor_takes_everyone_down_with_a_stop(daemon: Daemon) -> None:
    with daemon.robot() as robot:
        arm = Arm(robot)
        armed(daemon, arm)
        daemon.process.kill()
        arm.cycle(5, until=lambda a: a.mode is Mode.STOP)
        assert arm.received[-1].mode is Mode.STOP
    assert daemon.leftovers() == []


def test_a_killed_tick_ends_the_daemon_with_the_reason(daemon: Daemon) -> None:
    daemon.child("control_loop").kill()
    code, output = daemon.finish()
    assert code == 1
    assert "the tick process ended: killed by signal 9" in output
    assert daemon.leftovers() == []


def test_interrupt_ends_it_cleanly(daemon: Daemon) -> None:
    code, output = daemon.end(signal.SIGINT)
    assert code == 0, output
    assert "Traceback" not in output
    assert daemon.leftovers() == []


def test_ctrl_c_again_and_again_ends_it_as_cleanly(daemon: Daemon) -> None:
    while daemon.process.poll() is None:
        daemon.process.send_signal(signal.SIGINT)
        time.sleep(0.003)
    code, output = daemon.finish()
    assert code == 0, output
    assert output.endswith(" INFO stopped [stopped]\n")
    assert daemon.leftovers() == []


def test_a_second_daemon_on_the_same_ports_says_so(daemon: Daemon) -> None:
    second = start(daemon.config, daemon.ports)
    code, output = second.finish()
    assert code == 1
    assert f"port in use by {sys.executable} -m actd run" in output
    assert "stopping" not in output, "it has started nothing"
    assert "Traceback" not in output
    with daemon.operator() as operator:
        assert operator.status()["ready"]


def test_a_tick_port_in_use_is_named(
    tmp_path: Path, small_engine: Path, video: Path, ports: Ports
) -> None:
    sources = {"cam_high": str(video), "cam_low": str(video)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.actions))
        taken.listen()
        subject = start(write_config(tmp_path, small_engine, ports, sources), ports)
        code, output = subject.finish()
    assert code == 1
    assert f"tcp://127.0.0.1:{ports.actions}: port in use" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_dead_camera_is_visible_refuses_arming_and_recovers(
    tmp_path: Path, small_engine: Path, video: Path, ports: Ports
) -> None:
    import cv2

    _, jpeg = cv2.imencode(".jpg", np.zeros((96, 128, 3), np.uint8))
    server = MjpegServer()
    port = int(server.url("x").rsplit(":", 1)[1].split("/")[0])
    sources = {"cam_high": server.url("cam_high"), "cam_low": str(video)}
    subject = start(write_config(tmp_path, small_engine, ports, sources), ports)
    try:
        wait_until(
            lambda: server.publish("cam_high", jpeg.tobytes()) or subject.is_ready(), "ready", 30
        )
        subject.wait_ready()
        with subject.robot() as robot, subject.operator() as operator:
            arm = Arm(robot)
            server.close()
            wait_until(
                lambda: (
                    arm.cycle(0.1)
                    or operator.status()["cameras"]["cam_high"]["state"].startswith("failed")
                ),
                "the camera to fail",
                20,
            )
            wait_until(
                lambda: arm.cycle(0.1) or operator.status()["cameras"]["cam_high"]["age_ms"] > 600,
                "the last frame to grow old",
            )
            with pytest.raises(LinkError, match=r"camera cam_high is \d+ ms old"):
                operator.arm()
            server = MjpegServer(port=port)
            wait_until(
                lambda: (
                    server.publish("cam_high", jpeg.tobytes())
                    or arm.cycle(0.02)
                    or operator.status()["cameras"]["cam_high"]["state"] == "ok"
                ),
                "the camera to come back",
                30,
            )
        code, output = subject.end()
        assert code == 0, output
        assert subject.leftovers() == []
    finally:
        server.close()
        if subject.process.poll() is None:
            subject.process.kill()


@pytest.mark.parametrize(
    ("cameras", "joints", "words"),
    [
        (["cam_high"], 14, "cameras.cam_low: missing"),
        (["cam_high", "cam_low", "cam_hihg"], 14, "did you mean cam_high?"),
        (["cam_high", "cam_low"], 6, "6 joints listed, the policy commands 14"),
    ],
)
def test_a_deployment_that_does_not_fit_its_engine_exits_78(
    tmp_path: Path, small_engine: Path, cameras: list[str], joints: int, words: str
) -> None:
    sources = {name: f"/dev/video{index}" for index, name in enumerate(cameras)}
    names = [f"j{index}" for index in range(joints)]
    config = write_config(tmp_path, small_engine, Ports(), sources, joints=names)
    done = subprocess.run(
        [sys.executable, "-m", "actd", "run", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_frames_of_another_size_are_refused_by_the_camera(
    tmp_path: Path, small_engine: Path, video: Path, ports: Ports
) -> None:
    config = write_config(
        tmp_path, small_engine, ports, {"cam_high": str(video), "cam_low": str(video)}
    )
    config.write_text(config.read_text().replace("width: 128, height: 96, fps", "fps", 1))
    wrong = write_video(tmp_path / "wrong.avi", [np.zeros((64, 64, 3), np.uint8)] * 30)
    config.write_text(config.read_text().replace(str(video), str(wrong), 1))
    subject = start(config, ports)
    try:
        with subject.operator() as operator:

            def why() -> str:
                try:
                    return str(operator.status()["cameras"]["cam_high"]["state"])
                except LinkError:
                    return ""

            wait_until(
                lambda: "gives 64x64, the policy was trained on 128x96" in why(), "words", 20
            )
            assert not operator.status()["ready"]
    finally:
        subject.end()


def test_status_and_echo_as_commands(daemon: Daemon) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "actd", *words, "--config", str(daemon.config)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "120"},
        )

    status = json.loads(run("status", "--json").stdout)
    assert status["mode"] == "IDLE"
    assert "cam_high" in run("status").stdout
    messages = [json.loads(x) for x in run("echo", "--count", "3").stdout.splitlines()]
    assert [m["mode"] for m in messages] == [0, 0, 0]
    assert json.loads(run("echo", "status", "--count", "1").stdout)["mode"] == "IDLE"
    rejected = run("arm")
    assert rejected.returncode == 1
    assert "arm refused: robot state has not delivered" in rejected.stderr
    assert run("stop").returncode == 0
    assert run("reset").returncode == 0


def test_without_a_daemon_the_commands_say_what_to_do(tmp_path: Path) -> None:
    for words in (["status"], ["arm"]):
        done = subprocess.run(
            [sys.executable, "-m", "actd", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "no actd answers" in done.stderr
        assert "actd run" in done.stderr


@pytest.mark.slow
def test_an_outage_is_logged_once_however_long_it_lasts(
    tmp_path: Path, small_engine: Path, video: Path, ports: Ports
) -> None:
    sources = {"cam_high": "/dev/video63", "cam_low": str(video)}
    subject = start(write_config(tmp_path, small_engine, ports, sources), ports)
    with subject.operator() as operator, subject.robot() as robot:

        def tried_twice() -> bool:
            robot.send_state({"a_joint_of_another_arm": 0.1})
            try:
                return bool(operator.status()["uptime_s"] > 4)
            except LinkError:
                return False

        wait_until(tried_twice, "the camera to be tried again", 20)
    code, output = subject.end()
    assert code == 0, output
    assert output.count("camera cam_high: failed: ") == 1, output
    assert output.count("inference: waiting: camera cam_high") == 1, output
    assert output.count("robot state: messages refused: ") == 1, output
