"""`actd drive` in LeRobot's own environment, with LeRobot's drivers.

Needs an environment with LeRobot (scripts/make-lerobot-venv), named by ACTD_LEROBOT_PYTHON.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.errors import LinkError
from actd.sim.aloha import JOINTS as ALOHA
from tests.drive.conftest import (
    ROOT,
    Motion,
    end,
    mode,
    ready,
    set_in_motion,
    write_config,
    write_swaying_engine,
)
from tests.drive.lerobot_side import (
    DEGREES,
    LEKIWI,
    LEKIWI_MOTORS,
    SO101,
    START_S,
    Begin,
    begin,
    bus,
)
from tests.ports import free_ports
from tests.runtime.conftest import Daemon, wait_until

__all__ = ["begin"]  # fixtures

pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(600)]

# The arms' pose at the beginning of the simulation.
POSE = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.5)
SIMULATED = Motion(
    joints=tuple(f"{joint}.pos" for joint in ALOHA), centers=POSE * 2, span=0.4, units="rad"
)


@contextmanager
def daemon_for(folder: Path, film: Path, motion: Motion) -> Iterator[Daemon]:
    ports = free_ports()
    engine = write_swaying_engine(folder / "engine", motion)
    daemon = ready(write_config(folder, engine, film, ports, motion), ports)
    try:
        yield daemon
    finally:
        end(daemon)


@pytest.fixture(scope="module")
def degrees(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Daemon]:
    """A daemon for an SO-101 in degrees."""
    with daemon_for(tmp_path_factory.mktemp("degrees"), film, DEGREES) as daemon:
        yield daemon


@pytest.mark.parametrize("torque", ["keep", "release"])
def test_an_so101_follows_the_policy(
    begin: Begin, degrees: Daemon, tmp_path: Path, torque: str
) -> None:
    with bus(tmp_path, "so101_follower", SO101) as (servos, flags):
        one = begin(degrees, *flags, f"--torque={torque}")
        set_in_motion(degrees, one, by=5, timeout_s=START_S)
        time.sleep(2)
        summary = one.leave()
        assert one.speed(0.1) < 1.0
        assert servos.torque == [torque == "keep"] * 6
    assert summary["cycles"] > 50
    assert mode(degrees) in ("HOLD", "FAULT")


def test_an_so101_that_is_unplugged_while_it_moves(
    begin: Begin, degrees: Daemon, tmp_path: Path
) -> None:
    with bus(tmp_path, "so101_follower", SO101) as (servos, flags):
        one = begin(degrees, *flags, "--patience=1")
        set_in_motion(degrees, one, by=5, timeout_s=START_S)
        servos.unplug()
        assert one.wait(START_S) == 1
        assert one.speed(0.2) < 1.0
    assert "There is no status packet" in one.said.splitlines()[-1]
    assert mode(degrees) in ("HOLD", "FAULT")


def test_an_arm_that_is_not_calibrated_gets_no_torque(
    begin: Begin, degrees: Daemon, tmp_path: Path
) -> None:
    with bus(tmp_path, "so101_follower", SO101, known=False) as (servos, flags):
        one = begin(degrees, *flags)
        assert one.wait(START_S) == 1
        assert not any(servos.torque)
        assert servos.writes == 0
    told = one.said.splitlines()[-1]
    assert "not calibrated; run: lerobot-calibrate --robot.type=so101_follower" in told
    assert f"--robot.port={flags[1].partition('=')[2]} --robot.id=blue" in told


def test_an_arm_in_other_units_is_refused_before_it_is_connected(
    begin: Begin, degrees: Daemon, tmp_path: Path
) -> None:
    with bus(tmp_path, "so101_follower", SO101) as (servos, flags):
        one = begin(degrees, *flags, "--robot.use_degrees=false")
        assert one.wait(START_S) == 2
        assert servos.writes == 0
    assert one.said.count("actd has degrees, the robot -100 to 100") == 5


def test_lekiwi_stands_at_the_end(begin: Begin, film: Path, tmp_path: Path) -> None:
    with (
        daemon_for(tmp_path, film, LEKIWI) as daemon,
        bus(tmp_path, "lekiwi", LEKIWI_MOTORS) as (servos, flags),
    ):
        one = begin(daemon, *flags, "--robot.use_degrees=true")

        set_in_motion(daemon, one, by=5, timeout_s=START_S)
        assert all(servos.speeds[6:])
        one.leave()
        # The bus may still have to read what was written last.
        wait_until(lambda: servos.speeds[6:] == [0, 0, 0], "the wheels to stand", 2)
        assert "cameras left to the daemon: front, wrist" in one.said


def storm(process: subprocess.Popen[str], seconds: float) -> None:
    """Stop it and let it go on, again and again: system calls of it end with EINTR."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            process.send_signal(number)
            time.sleep(0.001)


def test_signals_do_not_leave_a_port_in_use(begin: Begin, film: Path, tmp_path: Path) -> None:
    with (
        daemon_for(tmp_path, film, LEKIWI) as daemon,
        bus(tmp_path, "lekiwi", LEKIWI_MOTORS) as (servos, flags),
    ):
        one = begin(daemon, *flags, "--robot.use_degrees=true", "--patience=60")
        set_in_motion(daemon, one, by=5, timeout_s=START_S)
        storm(one.process, 20)
        set_in_motion(daemon, one, by=5, timeout_s=START_S)
        assert all(servos.speeds[6:])
        assert one.leave()["failures"] > 0
        wait_until(lambda: servos.speeds[6:] == [0, 0, 0], "the wheels to stand", 2)
    assert "Port is in use" not in one.said


def test_an_answer_that_comes_too_late_is_not_the_next_reading(
    lerobot_python: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from actd.drive.lerobot_arm import make_arm\n"
        "arm, _ = make_arm(sys.argv[1:], keep_torque=False)\n"
        "arm.connect()\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        "        if line.strip() != 'read':\n"
        "            arm.command(dict.fromkeys(arm.joints.measured, float(line)))\n"
        "        print(arm.read()['shoulder_pan.pos'], flush=True)\n"
        "    except ConnectionError:\n"
        "        print('late', flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hf")}
    with bus(tmp_path, "so101_follower", SO101) as (servos, flags):
        process = subprocess.Popen(
            [lerobot_python, "-c", code, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

        def ask(line: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        try:
            assert abs(float(ask("read"))) < 1
            servos.delay(0.3)
            assert ask("read") == "late"
            time.sleep(0.5)
            ask("20")
            time.sleep(1)
            assert float(ask("read")) == pytest.approx(20, abs=1)
        finally:
            process.kill()
            process.communicate()


def test_the_simulated_aloha_as_a_robot_of_lerobot(
    begin: Begin, film: Path, tmp_path: Path
) -> None:
    with daemon_for(tmp_path, film, SIMULATED) as daemon:
        one = begin(daemon, "--robot.type=sim_aloha", f"--robot.log={tmp_path / 'arm.log'}")
        set_in_motion(daemon, one, by=0.1, timeout_s=START_S)
        time.sleep(2)
        summary = one.leave()
        assert mode(daemon) in ("HOLD", "FAULT")
    assert summary["failures"] == 0
    assert one.speed(0.1) < 0.1


def test_a_plugin_from_the_package_index(begin: Begin, degrees: Daemon) -> None:
    motors = f"[{','.join(SO101)}]"
    words = ["--robot.type=dummy_follower", "--robot.silent=true"]
    one = begin(degrees, *words)
    assert one.wait(START_S) == 2
    assert "actd has no wrist_yaw.pos" in one.said
    one = begin(degrees, *words, f"--robot.motor_names={motors}")
    with degrees.operator() as operator:
        wait_until(
            lambda: (operator.status()["acknowledged_ms"] or 1000) < 500, "the driver", START_S
        )
    assert one.leave()["failures"] == 0


@pytest.mark.parametrize(
    ("illness", "code", "told"),
    [
        (
            "asks",
            1,
            "the robot asks 'Put the arm upright and press ENTER', which nobody can answer while "
            "it is driven; set it up with LeRobot's own commands first",
        ),
        ("uncalibrated", 1, "Awkward: not calibrated; run: lerobot-calibrate --robot.type=awkward"),
        ("unplugged", 1, "connect: ConnectionError: Could not connect (tty: Permission denied); "),
        ("unmade", 2, "--robot.type=awkward: cannot be made: ValueError: no such port anywhere; "),
        ("nan", 1, "bus: read: elbow_flex.pos is nan, for "),
    ],
)
def test_what_a_robot_may_do_is_one_line(
    begin: Begin, degrees: Daemon, illness: str, code: int, told: str
) -> None:
    words = ["--robot.type=awkward", f"--robot.illness={illness}", "--patience=1"]
    one = begin(degrees, *words)
    assert one.wait(START_S) == code
    assert told in one.said.splitlines()[-1]
    assert "Traceback" not in one.said


def test_flags_that_lerobot_does_not_take_are_one_line(begin: Begin, degrees: Daemon) -> None:
    for words, told in (
        ("--robot.type=so102", "--robot.type: so102: unknown to LeRobot here; it knows"),
        ("--robot.type=so102", "lerobot_robot_actd_broken: RuntimeError: no card"),
        ("--robot.type=so101_follower", "Missing required field(s) `port`"),
    ):
        one = begin(degrees, *words.split())
        assert one.wait(START_S) == 2
        assert told in one.said.splitlines()[-1]
        assert "Traceback" not in one.said


def test_it_imports_neither_typer_nor_pydantic(lerobot_python: str) -> None:
    code = (
        "import sys, actd.drive.command; "
        "sys.exit(bool({'typer', 'pydantic', 'numpy', 'torch', 'rich'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([lerobot_python, "-c", code], check=True, env=environment)


# --- leaders


@contextmanager
def pair(folder: Path, leader: str, *, known: bool = True) -> Iterator[Any]:
    """An SO-101 and a leader beside it: both buses, and the flags of both."""
    with (
        bus(folder, "so101_follower", SO101) as (servos, flags),
        bus(folder / "leader", leader, SO101, known=known, device="teleop") as (leads, more),
    ):
        yield servos, leads, [*flags, *more]


def degrees_of(folder: Path) -> Any:
    """Where servos are, by the log of their bus, (motors,)."""
    line = (folder / "arm.log").read_text().splitlines()[-2]
    return np.array(line.split()[1:], float)


def ordered(daemon: Daemon, command: str) -> str:
    with daemon.operator() as operator:
        try:
            operator.request(command)
        except LinkError as error:
            return str(error)
    return ""


def leads_on(daemon: Daemon) -> bool:
    """Let it lead; again where a busy computer kept a servo from answering."""
    return mode(daemon) == "TAKEOVER" or not ordered(daemon, "takeover")


def test_an_so101_leader_goes_along_with_its_motors_and_then_leads(
    begin: Begin, degrees: Daemon, tmp_path: Path
) -> None:
    with pair(tmp_path, "so101_leader") as (_, leads, flags):
        one = begin(degrees, *flags)
        set_in_motion(degrees, one, by=5, timeout_s=START_S)
        wait_until(lambda: all(leads.torque), "the leader's motors", 10)
        # The gripper's unit is not degrees.
        apart = lambda: degrees_of(tmp_path)[:5] - degrees_of(tmp_path / "leader")[:5]  # noqa: E731
        wait_until(lambda: np.abs(apart()).max() < 5, "the leader to go along", 20)
        wait_until(lambda: leads_on(degrees) and not any(leads.torque), "the takeover", 20)
        leads.carry(10.0)
        wait_until(
            lambda: leads_on(degrees) and np.abs(degrees_of(tmp_path)[:5] - 10).max() < 2,
            "the arm to follow",
            30,
        )
        leads.unplug()
        wait_until(lambda: mode(degrees) == "HOLD", "the hold", 3)
        wait_until(lambda: "leader: read: " in one.said, "a word of it", 5)
        # The arm's own bus goes on, and so may the policy.
        wait_until(lambda: not ordered(degrees, "arm"), "the policy", 20)
        one.leave()
        assert one.speed(0.1) < 1.0


def test_a_leader_is_not_moved_where_that_is_not_wanted(
    begin: Begin, degrees: Daemon, tmp_path: Path
) -> None:
    with pair(tmp_path, "so100_leader") as (_, leads, flags):
        one = begin(degrees, *flags, "--teleop-motors=off")
        set_in_motion(degrees, one, by=5, timeout_s=START_S)
        leads.carry(-35.0)
        wait_until(lambda: degrees_of(tmp_path / "leader").max() < -34, "the hand", 10)
        assert "the leader is " in ordered(degrees, "takeover")
        assert not any(leads.torque)
        assert leads.writes == 0
        one.leave()


def test_a_leader_that_is_not_calibrated_is_refused_before_the_arm_has_torque(
    begin: Begin, degrees: Daemon, tmp_path: Path
) -> None:
    with pair(tmp_path, "so101_leader", known=False) as (servos, leads, flags):
        one = begin(degrees, *flags)
        assert one.wait(START_S) == 1
        assert not any(servos.torque + leads.torque)
    told = one.said.splitlines()[-1]
    assert "not calibrated; run: lerobot-calibrate --teleop.type=so101_leader" in told


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--teleop.type=so999_leader"], "--teleop.type: so999_leader: unknown to LeRobot here"),
        (["--teleop.type=so101_leader"], "--teleop.: "),
        (["--teleop.port=/dev/ttyACM9"], "--teleop.type: missing; one of "),
        (["--teleop.type=keyboard"], "the leader cannot say which joints it has (AttributeError: "),
    ],
)
def test_what_is_no_leader_here_is_refused(
    begin: Begin, degrees: Daemon, tmp_path: Path, flags: list[str], words: str
) -> None:
    with bus(tmp_path, "so101_follower", SO101) as (servos, robot):
        one = begin(degrees, *robot, *flags)
        assert one.wait(START_S) == 2
        assert not any(servos.torque)
    assert words in one.said
    assert "Traceback" not in one.said


def test_a_leader_in_other_units_is_refused(begin: Begin, degrees: Daemon, tmp_path: Path) -> None:
    with pair(tmp_path, "so101_leader") as (_, leads, flags):
        one = begin(degrees, *flags, "--teleop.use_degrees=false")
        assert one.wait(START_S) == 2
        assert leads.writes == 0
    assert one.said.count("actd has degrees, the leader -100 to 100") == 5
