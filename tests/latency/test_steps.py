"""Steps on a simulated arm over the real sockets, driven by the real tick process."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from actd.client import Mode, Operator
from actd.config import Config, load
from actd.errors import ActdError, LinkError
from actd.latency.session import session
from actd.latency.steps import StepPlan, hold_targets, measure_steps, plan_steps, sentence
from actd.link.sockets import Ports
from tests.latency.conftest import JOINTS, RATE_HZ, ROBOT, VELOCITY, LateArm


def command(config: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "actd", "measure", "latency", "--config", str(config)]
    return [*start, *words]


def run(config: Path, *words: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *words),
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def started(arm: LateArm, joint: str) -> bool:
    """Whether it was told to move the joint."""
    return bool(arm.received) and arm.received[-1].action.get(joint, -9.0) > JOINTS[joint] + 0.01


def meanwhile(arm: LateArm, joint: str, act: Callable[[], object]) -> threading.Thread:
    """Do something once the joint is being moved."""

    def wait_and_act() -> None:
        wait_for(lambda: started(arm, joint))
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def assert_brought_to_rest(arm: LateArm) -> None:
    """STOP came last, and no command moved faster than the limits."""
    wait_for(lambda: arm.received[-1].mode is Mode.STOP)
    told = [action for action in arm.received if action.action]
    for before, after in itertools.pairwise(told):
        ticks = after.seq - before.seq
        for joint in ("shoulder", "elbow", "gripper"):
            moved = abs(after.action[joint] - before.action[joint])
            assert moved <= ticks * VELOCITY / RATE_HZ * (1 + 1e-9)
    assert told[-1].rest_ms == 0.0


def assert_nothing_left(ports: Ports) -> None:
    for port in (ports.state, ports.actions, ports.control):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    ticks = [p for p in psutil.process_iter() if f":{ports.control}" in _listening(p)]
    assert ticks == []


def _listening(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(f":{c.laddr.port}" for c in process.net_connections() if c.laddr)
    return ""


@pytest.mark.slow
def test_a_known_delay_is_measured(config_file: Path, arm: LateArm, ports: Ports) -> None:
    asked: list[str] = []
    found = measure_steps(load(config_file), "elbow", 0.05, 1, asked.append)
    assert len(asked) == 1
    assert "joint elbow will move between -0.25 and -0.15 rad (now -0.2) for 6 s" in asked[0]
    assert found.delay is not None
    # Never sooner than the dead time; half of the control's and of the arm's period come on top,
    # and what a busy machine adds to the arm's own loop.
    assert 0.095 < found.delay.delay_ns / 1e9 < 0.2
    assert len(found.steps) == 4
    assert all(0.09 < step.onset_ns / 1e9 < 0.25 for step in found.steps)
    assert_brought_to_rest(arm)
    assert arm.received[-1].action == pytest.approx(JOINTS, abs=1e-6)
    for joint, place in JOINTS.items():
        if joint != "elbow":
            seen = [action.action[joint] for action in arm.received if action.action]
            assert seen == pytest.approx([place] * len(seen), abs=1e-6)
    assert_nothing_left(ports)


@pytest.mark.slow
def test_a_continuous_joint_is_measured_where_a_turn_ends(config_file: Path, arm: LateArm) -> None:
    arm.positions["wrist"] = np.pi - 0.03
    found = measure_steps(load(config_file), "wrist", 0.06, 1, lambda _: None)
    assert found.delay is not None
    assert 0.095 < found.delay.delay_ns / 1e9 < 0.2
    seen = [action.action["wrist"] for action in arm.received if action.action]
    assert min(seen) < -3
    assert max(seen) > 3


@pytest.mark.slow
def test_the_command_prints_what_the_figure_is_for(config_file: Path, arm: LateArm) -> None:
    words = ("--joint", "gripper", "--amplitude", "0.1", "--repeats", "1", "--yes", "--json")
    done = run(config_file, *words)
    assert done.returncode == 0, done.stderr
    assert "joint gripper will move between 0.4 and 0.6" in done.stderr
    told = json.loads(done.stdout)
    assert 95 <= told["latency_ms"] <= 200
    assert told["joints"]["gripper"]["onset_ms"]["mean"] > 90
    assert_brought_to_rest(arm)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_brings_the_arm_to_rest(
    config_file: Path, arm: LateArm, ports: Ports, number: signal.Signals
) -> None:
    words = ("--joint", "elbow", "--amplitude", "0.15", "--yes")
    process = subprocess.Popen(command(config_file, *words), stderr=subprocess.PIPE)
    try:
        wait_for(lambda: started(arm, "elbow"))
        process.send_signal(number)
        time.sleep(0.02)
        process.send_signal(number)  # impatience must not cut the ramp short
        _, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, error
    assert b"Traceback" not in error
    assert_brought_to_rest(arm)
    assert arm.modes & {"HOLD", "STOP"}
    assert_nothing_left(ports)


@pytest.mark.slow
def test_killed_it_leaves_no_process_and_the_arm_at_rest(
    config_file: Path, arm: LateArm, ports: Ports
) -> None:
    words = ("--joint", "elbow", "--amplitude", "0.15", "--yes")
    process = subprocess.Popen(command(config_file, *words), stderr=subprocess.DEVNULL)
    wait_for(lambda: started(arm, "elbow"))
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert len(children) == 1
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert_brought_to_rest(arm)
    assert_nothing_left(ports)


@pytest.mark.slow
def test_a_robot_that_falls_silent(config_file: Path, arm: LateArm) -> None:
    saboteur = meanwhile(arm, "elbow", lambda: setattr(arm, "alive", False))
    with pytest.raises(LinkError, match=r"HOLD: .*robot state is \d+ ms old .*brought to rest"):
        measure_steps(load(config_file), "elbow", 0.1, 1, lambda _: None)
    saboteur.join()
    assert_brought_to_rest(arm)


def test_a_controller_that_leaves(config_file: Path, arm: LateArm) -> None:
    saboteur = meanwhile(arm, "elbow", arm.end)
    with pytest.raises(LinkError, match=r"HOLD: .* old"):
        measure_steps(load(config_file), "elbow", 0.1, 1, lambda _: None)
    saboteur.join()


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (0.5, "FAULT: joint elbow does not follow: it is .* from its command"),
        (0.1, "HOLD: the measured positions stand still although the command moves"),
    ],
)
def test_a_blocked_joint(config_file: Path, arm: LateArm, size: float, reason: str) -> None:
    arm.stubborn = True
    with pytest.raises(LinkError, match=reason):
        measure_steps(load(config_file), "elbow", size, 1, lambda _: None)
    # At rest the daemon lets go: the command is where the joint is.
    wait_for(lambda: arm.received[-1].mode is Mode.STOP)
    assert arm.received[-1].rest_ms == 0.0


def test_an_operator_may_stop_it(config_file: Path, arm: LateArm, ports: Ports) -> None:
    def stop() -> None:
        with Operator(ports=ports, robot=ROBOT) as operator:
            operator.stop()

    other = meanwhile(arm, "elbow", stop)
    with pytest.raises(LinkError, match="STOP: operator: stop"):
        measure_steps(load(config_file), "elbow", 0.1, 1, lambda _: None)
    other.join()
    assert_brought_to_rest(arm)


@pytest.mark.slow
def test_a_robot_that_does_not_act_is_not_driven(config_file: Path, arm: LateArm) -> None:
    arm.acting = False
    with pytest.raises(LinkError, match="arm refused: no robot controller acknowledges"):
        measure_steps(load(config_file), "elbow", 0.1, 1, lambda _: None)
    assert arm.modes == {"IDLE", "STOP"}


def test_nothing_moves_unasked(config_file: Path, arm: LateArm) -> None:
    done = run(config_file, "--joint", "elbow", answer="n\n")
    assert done.returncode == 1
    assert "Move it now?" in done.stderr
    assert arm.modes <= {"IDLE", "STOP"}
    told = [action.action for action in arm.received if action.action]
    assert all(action == pytest.approx(JOINTS) for action in told)


def test_an_arm_that_was_moved_while_asked_is_left_alone(config_file: Path, arm: LateArm) -> None:
    def move(_: str) -> None:
        arm.positions["elbow"] = 0.4
        time.sleep(0.2)

    with pytest.raises(
        ActdError, match=r"moved from -0\.2 to 0\.4 while it waited for your answer"
    ):
        measure_steps(load(config_file), "elbow", 0.1, 1, move)


def test_a_running_daemon_is_not_disturbed(config_file: Path, ports: Ports) -> None:
    with session(load(config_file), 8, 1.0) as first:
        with pytest.raises(LinkError, match="no state of robot late-arm on port"):
            first.wait_positions(1.0)
        done = run(config_file, "--joint", "elbow", "--yes")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f":{ports.state}: port in use by " in done.stderr


@pytest.mark.parametrize(
    ("positions", "env", "reason"),
    [
        ({"left": 0.1}, (), "shoulder, elbow, wrist, gripper, … missing; they name left"),
        (JOINTS, (1.0,), "env: found 1 values, expected 0"),
        ({**JOINTS, "elbow": 11.5}, (), "elbow is 11.5, far outside its limits -1 to 1"),
    ],
)
def test_a_state_that_does_not_fit_is_told(
    config_file: Path,
    arm: LateArm,
    positions: dict[str, float],
    env: tuple[float, ...],
    reason: str,
) -> None:
    arm.positions, arm.env = dict(positions), env
    with (
        session(load(config_file), 8, 1.0) as subject,
        pytest.raises(LinkError, match=f"robot state: .* messages refused: {reason}"),
    ):
        subject.wait_positions(2.0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("RUN", "--config", "CONFIG"), "give either a recording, or --config"),
        (("--config", "CONFIG"), "--joint: which one"),
        (
            ("--config", "CONFIG", "--joint", "hand"),
            "--joint hand: unknown; choose one of shoulder, elbow, wrist, gripper\n",
        ),
        (
            ("--config", "CONFIG", "--joint", "wheel"),
            "--joint wheel: is commanded by velocity and cannot be stepped; choose one of shoulder",
        ),
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


def joint_plan(config: Config, name: str, size: float | None, repeats: int) -> StepPlan:
    joint = next(joint for joint in config.joints if joint.name == name)
    return plan_steps(joint, size, repeats, RATE_HZ)


def test_steps_stay_inside_the_limits(config_file: Path) -> None:
    config = load(config_file)
    plan = joint_plan(config, "elbow", None, 2)
    assert plan.offsets(0.0) == pytest.approx((0.02, 0.0, -0.02, 0.0))
    assert joint_plan(config, "elbow", 0.1, 2).offsets(0.95) == (-0.1, 0.0)
    assert joint_plan(config, "elbow", 0.1, 2).offsets(-0.95) == (0.1, 0.0)
    with pytest.raises(ActdError, match="no room for a step"):
        joint_plan(config, "elbow", 1.5, 2).offsets(0.0)
    # 1.0 at speed 1 and acceleration 10 takes 1.1 s.
    assert joint_plan(config, "elbow", 1.0, 2).hold_ticks == pytest.approx(3.2 * RATE_HZ, abs=1)
    turn = joint_plan(config, "wrist", None, 1)
    assert turn.size == pytest.approx(0.02 * np.pi)
    assert len(turn.offsets(1000.0)) == 4


def test_the_chunk_holds_every_target_and_ends_at_rest(config_file: Path) -> None:
    config = load(config_file)
    plan = joint_plan(config, "elbow", 0.1, 3)
    base = hold_targets(config, np.array([*JOINTS.values()]))
    for place, per_round in ((0.0, 4), (0.95, 2)):
        offsets = plan.offsets(place)
        chunk, starts = plan.chunk(base, 1, offsets), plan.starts(offsets)
        assert chunk.shape == (plan.rows, len(JOINTS))
        steps = chunk[:, 1] - base[1]
        assert steps[: 1 + 3 * per_round] == pytest.approx([0.0, *offsets * 3])
        assert not steps[1 + 3 * per_round :].any()
        assert starts == [k * plan.hold_ticks for k in range(1, 2 + 3 * per_round)]
        assert (plan.rows - 1) * plan.hold_ticks > starts[-1] + 2 * RATE_HZ
        assert (np.delete(chunk, 1, axis=1) == np.delete(base, 1)).all()


def test_who_is_outside_the_limits_is_told_to_move(config_file: Path) -> None:
    config = load(config_file)
    positions = np.array([1.05, 0.999, 4.0, -0.0001, 0.3])
    assert hold_targets(config, positions).tolist() == [1.0, 0.999, 4.0, 0.0, 0.0]
    words = sentence(config, joint_plan(config, "elbow", 0.1, 1), positions)
    assert words.endswith(
        "all other joints hold their position; shoulder goes from 1.05 back to its limit 1"
    )
