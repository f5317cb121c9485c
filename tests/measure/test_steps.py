"""Steps on a simulated arm over the real sockets."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from actd.client import Mode
from actd.config import JointConfig, load
from actd.errors import ActdError, LinkError
from actd.link.sockets import Ports
from actd.measure.session import Session, Target
from actd.measure.steps import measure_steps, plan_steps
from tests.measure.conftest import ACCELERATION, JOINTS, RATE_HZ, VELOCITY, LateArm

LIMITS = JointConfig(position=(-1, 1), velocity=VELOCITY, acceleration=ACCELERATION)


def command(config: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "actd", "measure", "latency", "--config", str(config)]
    return [*start, *words]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_brought_to_rest(arm: LateArm) -> None:
    """STOP came last, and no command moved faster than the limits."""
    wait_for(lambda: arm.received[-1].mode is Mode.STOP)
    for before, after in itertools.pairwise(arm.received):
        ticks = after.seq - before.seq
        for joint in JOINTS:
            moved = abs(after.action[joint] - before.action[joint])
            assert moved <= ticks * VELOCITY / RATE_HZ * (1 + 1e-9)


def test_a_known_delay_is_measured(config_file: Path, arm: LateArm) -> None:
    asked: list[str] = []
    found = measure_steps(load(config_file), "elbow", 0.05, 1, asked.append)
    assert len(asked) == 1
    assert "joint elbow will move between -0.25 and -0.15 rad" in asked[0]
    assert found.delay is not None
    # Never sooner than the dead time; the arm's and the control's periods come on top, and what
    # a busy machine adds to the arm's own loop.
    assert 0.095 < found.delay.delay_ns / 1e9 < 0.2
    assert len(found.steps) == 4
    assert all(0.09 < step.onset_ns / 1e9 < 0.25 for step in found.steps)
    assert_brought_to_rest(arm)
    assert arm.received[-1].action == pytest.approx(JOINTS)
    assert {action.action["shoulder"] for action in arm.received} == {JOINTS["shoulder"]}


def test_the_command_prints_the_line_to_use(config_file: Path, arm: LateArm) -> None:
    words = ("--joint", "shoulder", "--amplitude", "0.1", "--repeats", "1", "--yes", "--json")
    done = subprocess.run(
        command(config_file, *words), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "joint shoulder will move between 0.2 and 0.4" in done.stderr
    told = json.loads(done.stdout)
    assert 95 <= told["actuation_latency_ms"] <= 200
    assert told["joints"]["shoulder"]["onset_ms"]["mean"] > 90
    assert_brought_to_rest(arm)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brings_the_arm_to_rest(
    config_file: Path, arm: LateArm, number: signal.Signals
) -> None:
    words = ("--joint", "elbow", "--amplitude", "0.15", "--yes")
    process = subprocess.Popen(command(config_file, *words), stderr=subprocess.PIPE)
    try:
        wait_for(lambda: arm.received and arm.received[-1].action["elbow"] > JOINTS["elbow"] + 0.01)
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, error
    assert b"Traceback" not in error
    assert_brought_to_rest(arm)
    assert any(action.mode is Mode.HOLD for action in arm.received)


@pytest.mark.parametrize(
    ("fail", "offset", "reason"),
    [
        (lambda arm: setattr(arm, "alive", False), 0.15, "robot state is"),
        (lambda arm: setattr(arm, "stubborn", True), 0.5, "from its command"),
    ],
)
def test_what_fails_on_the_way_brings_the_arm_to_rest(
    config_file: Path, arm: LateArm, fail: Callable[[LateArm], None], offset: float, reason: str
) -> None:
    def fail_once_moving() -> None:
        wait_for(lambda: arm.received and arm.received[-1].action["elbow"] > JOINTS["elbow"])
        fail(arm)

    saboteur = threading.Thread(target=fail_once_moving)
    saboteur.start()
    targets = [Target(0.0, 300_000_000), Target(offset, 5_000_000_000)]
    with Session(load(config_file)) as session:
        session.wait_pose(10)
        with pytest.raises(LinkError, match=reason):
            session.drive("elbow", targets)
    saboteur.join()
    assert_brought_to_rest(arm)


def test_a_controller_that_leaves_ends_the_session(config_file: Path, arm: LateArm) -> None:
    def leave() -> None:
        wait_for(lambda: arm.received)
        arm.end()

    threading.Thread(target=leave).start()
    with Session(load(config_file)) as session:
        session.wait_pose(10)
        with pytest.raises(LinkError, match=r"stopped listening|state is"):
            session.drive("elbow", [Target(0.0, 20_000_000_000)])


def test_nothing_moves_unasked(config_file: Path, arm: LateArm) -> None:
    done = subprocess.run(
        command(config_file, "--joint", "elbow"),
        input="n\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Move it now?" in done.stderr
    assert arm.received == []


def test_a_running_daemon_is_not_disturbed(config_file: Path, ports: Ports) -> None:
    with Session(load(config_file)):
        done = subprocess.run(
            command(config_file, "--joint", "elbow", "--yes"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f":{ports.state}: port in use, probably by another actd" in done.stderr


def test_without_a_robot_it_says_what_is_missing(config_file: Path, ports: Ports) -> None:
    with (
        Session(load(config_file)) as session,
        pytest.raises(
            LinkError, match=f"no state with all of shoulder, elbow on port {ports.state}"
        ),
    ):
        session.wait_pose(0.1)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("RUN", "--config", "CONFIG"), "give either a recording, or --config"),
        (("--config", "CONFIG"), "--joint: which one"),
        (("--config", "CONFIG", "--joint", "wrist"), "choose one of shoulder, elbow"),
    ],
)
def test_a_wrong_call_exits_2(config_file: Path, words: tuple[str, ...], reason: str) -> None:
    words = tuple(str(config_file) if word == "CONFIG" else word for word in words)
    done = subprocess.run(
        [sys.executable, "-m", "actd", "measure", "latency", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert reason in done.stderr


def test_steps_stay_inside_the_limits() -> None:
    both = plan_steps("j", LIMITS, "rad", 0.0, None, 2)
    assert both.offsets == pytest.approx((0.02, 0.0, -0.02, 0.0))
    assert plan_steps("j", LIMITS, "rad", 0.95, 0.1, 2).offsets == (-0.1, 0.0)
    assert plan_steps("j", LIMITS, "rad", -0.95, 0.1, 2).offsets == (0.1, 0.0)
    with pytest.raises(ActdError, match="no room for a step"):
        plan_steps("j", LIMITS, "rad", 0.0, 1.5, 2)
    # 1.0 at speed 1 and acceleration 10 takes 1.1 s.
    assert plan_steps("j", LIMITS, "rad", 0.0, 1.0, 2).hold_ns == pytest.approx(3.2e9)
