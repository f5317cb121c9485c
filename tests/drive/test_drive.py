"""`actd drive` with arms of one's own, before a real daemon, judged by where the arm was."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.drive.conftest import (
    ARMS,
    JOINTS,
    RATE_HZ,
    VELOCITY,
    Driven,
    end,
    mode,
    ready,
    set_in_motion,
    write_config,
)
from tests.ports import free_ports
from tests.runtime.conftest import Daemon, wait_until

Begin = Callable[..., Driven]

# A servo may be this much faster than its command for a moment, when it makes up for its lag.
_CATCHES_UP = 1.5
_STILL = 0.02


def assert_no_jump(one: Driven) -> None:
    """No joint was ever faster than the limits and a servo's lag explain."""
    t, places = one.places()
    slots = np.arange(t[0], t[-1], 0.04)
    even = np.array([np.interp(slots, t, column) for column in places.T])
    assert np.abs(np.diff(even, axis=1)).max() / 0.04 < _CATCHES_UP * VELOCITY


def test_an_arm_follows_the_policy_and_stands_at_the_end(daemon: Daemon, driven: Begin) -> None:
    one = driven("Plain")
    set_in_motion(daemon, one)
    time.sleep(1.5)
    summary = one.leave()
    assert "close" in one.log.read_text().splitlines()[-3:]
    assert one.speed(0.1) < _STILL
    assert mode(daemon) == "HOLD"
    assert_no_jump(one)
    assert (summary["robot"], summary["failures"]) == ("drive-arm", 0)
    assert summary["cycles"] > 50
    assert summary["target_hz"] == RATE_HZ
    assert [*summary["period_error_ms"]] == ["p50", "p99", "p99.9", "max"]
    assert "ARMED" in one.said
    assert "started again" not in one.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_every_request_to_end_is_a_ramp(daemon: Daemon, driven: Begin, number: int) -> None:
    one = driven("Plain")
    set_in_motion(daemon, one)
    one.leave(number)
    assert one.speed(0.1) < _STILL
    assert mode(daemon) == "HOLD"
    assert_no_jump(one)


@pytest.mark.faults
def test_a_bus_that_fails_now_and_then_costs_cycles_and_nothing_else(
    daemon: Daemon, driven: Begin
) -> None:
    one = driven("Flaky")
    set_in_motion(daemon, one)
    time.sleep(3)
    assert mode(daemon) == "ARMED"
    summary = one.leave()
    assert summary["failures"] >= 3
    assert "read: ConnectionError: There is no status packet!" in one.said
    assert "bus: works again after" in one.said
    assert_no_jump(one)


@pytest.mark.faults
def test_a_slow_bus_takes_the_newest_action_and_says_what_it_achieves(
    daemon: Daemon, driven: Begin
) -> None:
    one = driven("Slow")
    set_in_motion(daemon, one)
    wait_until(lambda: "slower than the daemon" in one.said, "the report")
    summary = one.leave()
    assert summary["rate_hz"] < 20
    assert summary["read_ms"]["p50"] >= 50
    assert one.speed(0.1) < _STILL


@pytest.mark.faults
@pytest.mark.parametrize(
    ("illness", "words"),
    [
        ("unplugged", "read: ConnectionError: There is no status packet!"),
        ("nan", "read: elbow_flex.pos is nan"),
        ("deaf", "command: Input/output error"),
    ],
)
def test_a_bus_that_fails_for_good_ends_it_with_the_reason(
    daemon: Daemon, driven: Begin, illness: str, words: str
) -> None:
    one = driven("Mishap", "--patience=1")
    set_in_motion(daemon, one)
    one.mishap.write_text(illness)
    assert one.wait() == 1
    last = one.said.splitlines()[-1]
    assert last.startswith(f"bus: {words}, for 1.")
    assert last.endswith("check power and cable, then actd drive again")
    assert one.speed(0.1) < _STILL
    assert mode(daemon) in ("HOLD", "FAULT")


@pytest.mark.faults
def test_a_bus_that_returns_goes_on_where_the_daemon_lets_it(daemon: Daemon, driven: Begin) -> None:
    one = driven("Mishap")
    set_in_motion(daemon, one)
    one.mishap.write_text("unplugged")
    wait_until(lambda: mode(daemon) in ("HOLD", "FAULT"), "the daemon to notice")
    one.mishap.unlink()
    wait_until(lambda: "bus: works again after" in one.said, "the bus")
    one.leave()
    assert_no_jump(one)


@pytest.mark.faults
def test_an_arm_whose_driver_blocked_is_not_made_to_jump(daemon: Daemon, driven: Begin) -> None:
    one = driven("Mishap")
    set_in_motion(daemon, one)
    one.mishap.write_text("blocked")
    wait_until(lambda: mode(daemon) in ("HOLD", "FAULT"), "the daemon to notice")
    wait_until(lambda: one.said.count("\n") and mode(daemon) != "STARTING", "the driver")
    time.sleep(1)
    one.leave()
    assert_no_jump(one)


@pytest.mark.faults
def test_a_driver_that_hangs_is_left_all_the_same(daemon: Daemon, driven: Begin) -> None:
    one = driven("Mishap")
    set_in_motion(daemon, one)
    one.mishap.write_text("hung")
    wait_until(lambda: mode(daemon) in ("HOLD", "FAULT"), "the daemon to notice")
    began = time.monotonic()
    one.process.send_signal(signal.SIGINT)
    assert one.wait() == 1
    assert time.monotonic() - began < 6
    assert "the driver did not return within 3 s" in one.said.splitlines()[-1]


@pytest.mark.faults
def test_a_second_signal_cuts_the_way_out_short(daemon: Daemon, driven: Begin) -> None:
    one = driven("Mishap")
    set_in_motion(daemon, one)
    one.mishap.write_text("hung")
    wait_until(lambda: mode(daemon) in ("HOLD", "FAULT"), "the daemon to notice")
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    one.process.send_signal(signal.SIGINT)
    assert one.wait(2) == 130
    assert one.said.splitlines()[-1] == "SIGINT: the motors keep what they were told last"


@pytest.mark.faults
def test_signal_after_signal_does_not_put_the_end_off(daemon: Daemon, driven: Begin) -> None:
    one = driven("Mishap")
    set_in_motion(daemon, one)
    one.mishap.write_text("hung")
    wait_until(lambda: mode(daemon) in ("HOLD", "FAULT"), "the daemon to notice")
    deadline = time.monotonic() + 2
    while one.process.poll() is None:
        assert time.monotonic() < deadline, one.said
        one.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert one.process.returncode == 130


@pytest.mark.parametrize("pause_s", [0.005, 0.015])
def test_a_second_signal_breaks_into_no_command(
    daemon: Daemon, driven: Begin, pause_s: float
) -> None:
    one = driven("Whole")
    set_in_motion(daemon, one)
    one.process.send_signal(signal.SIGINT)
    wait_until(lambda: "SIGINT: leaving" in one.said, "the way out")
    time.sleep(pause_s)
    one.process.send_signal(signal.SIGINT)
    assert one.wait(5) in (0, 130)  # it may have come to rest before
    lines = one.log.read_text().splitlines()
    assert lines.count("begin") == lines.count("whole") > 10


@pytest.mark.parametrize("kind", ["Interrupted", "Deaf", "Unread"])
def test_a_driver_that_takes_a_signal_for_a_fault_is_not_believed(
    daemon: Daemon, driven: Begin, kind: str
) -> None:
    one = driven(kind, "--at-end=park")
    wait_until(lambda: "the driver has not returned yet" in one.said, "the driver")
    one.process.send_signal(signal.SIGINT)
    assert one.wait(5) == 130
    assert one.said.splitlines()[-1] == "SIGINT: nothing was commanded"
    assert "command" not in one.log.read_text()


def test_ended_before_it_drives_it_says_that_nothing_was_commanded(
    daemon: Daemon, driven: Begin
) -> None:
    one = driven("Silent")
    wait_until(lambda: "connect: the driver has not returned yet" in one.said, "the driver")
    one.process.send_signal(signal.SIGINT)
    assert one.wait(5) == 130
    assert one.said.splitlines()[-1] == "SIGINT: nothing was commanded"


def test_without_its_daemon_the_arm_comes_to_rest_and_drive_ends(
    tmp_path: Path, engine: Path, film: Path
) -> None:
    ports = free_ports()
    daemon = ready(write_config(tmp_path, engine, film, ports), ports)
    one = Driven(tmp_path, [f"{ARMS}:Plain", "-c", str(daemon.config), "--patience=1"])
    try:
        set_in_motion(daemon, one)
        for process in daemon.processes:
            process.kill()
        daemon.process.kill()
        assert one.wait() == 1
    finally:
        one.process.kill()
        one.process.communicate()
        end(daemon)
    assert one.speed(0.3) < _STILL
    assert_no_jump(one)
    assert one.said.splitlines()[-1].startswith("no action for 1.")


@pytest.mark.slow
def test_an_arm_is_parked_before_it_is_left(tmp_path: Path, engine: Path, film: Path) -> None:
    ports, pose = free_ports(), np.linspace(-0.7, 0.2, len(JOINTS)).round(2)
    config = write_config(tmp_path, engine, film, ports)
    places = ", ".join(f"{name}: {place}" for name, place in zip(JOINTS, pose, strict=True))
    config.write_text(f"{config.read_text()}\nposes: {{park: {{{places}}}}}\n")
    daemon = ready(config, ports)
    one = Driven(tmp_path, [f"{ARMS}:Plain", "-c", str(config), "--at-end=park"])
    try:
        set_in_motion(daemon, one)
        one.leave(timeout_s=60)
        assert mode(daemon) == "HOLD"
    finally:
        one.process.kill()
        one.process.communicate()
        end(daemon)
    assert np.abs(one.places()[1][-1] - pose).max() < 0.02
    assert_no_jump(one)


def test_an_arm_with_other_joints_is_refused_with_a_table(daemon: Daemon, driven: Begin) -> None:
    names = (*JOINTS[:4], "wrist_yaw.pos", JOINTS[5])
    one = driven("Plain", joints=names)
    assert one.wait() == 2
    for row in (
        "5  wrist_roll.pos     gripper.pos        the robot has no wrist_roll.pos",
        "6  gripper.pos        wrist_yaw.pos      actd has no wrist_yaw.pos",
    ):
        assert row in one.said.splitlines()
    assert one.said.splitlines()[-1].startswith("joints: actd and the robot do not agree; ")
    assert "close" in one.log.read_text()
    assert mode(daemon) == "IDLE"


def test_a_second_driver_is_refused_and_the_first_goes_on(
    daemon: Daemon, driven: Begin, tmp_path: Path
) -> None:
    one = driven("Plain")
    set_in_motion(daemon, one)
    (tmp_path / "other").mkdir()
    other = Driven(tmp_path / "other", [f"{ARMS}:Plain", "-c", str(daemon.config)])
    assert other.wait() == 1
    assert other.said.startswith("another program drives this robot, it acknowledged ")
    assert mode(daemon) == "ARMED"
    one.leave()


def test_enter_arms_with_every_reason_and_enter_holds(daemon: Daemon, tmp_path: Path) -> None:
    terminal, theirs = pty.openpty()
    environment = {
        "PYTHONPATH": str(ARMS.parents[2]),
        "ARM_LOG": str(tmp_path / "log"),
        "ARM_NAMES": ",".join(JOINTS),
    }
    words = [sys.executable, "-m", "actd", "drive", f"{ARMS}:Plain", "-c", str(daemon.config)]
    process = subprocess.Popen(
        [*words, "--arm"],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, **environment},
        cwd=tmp_path,
    )
    said = ""

    def hears(text: str, timeout_s: float = 10) -> None:
        nonlocal said
        deadline = time.monotonic() + timeout_s
        while text not in said:
            assert time.monotonic() < deadline, said
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096).decode()

    try:
        hears("Enter arms")
        with daemon.operator() as operator:
            operator.stop()
        os.write(terminal, b"\n")
        hears("STOP is latched; `actd reset` first")
        with daemon.operator() as operator:
            operator.reset()
        time.sleep(0.3)
        deadline = time.monotonic() + 10
        while "ARMED" not in said:
            os.write(terminal, b"\n")  # refused while the policy is far away
            try:
                hears("ARMED", 0.3)
            except AssertionError:
                assert time.monotonic() < deadline, said
                said += ""
        os.write(terminal, b"\n")
        hears("HOLD")
        assert mode(daemon) == "HOLD"
        for typed, answer in (
            (b"s\n", "no episode is open; begin one with `actd episode start`"),
            (b"e 7\n", "episode 1 at place 7: start"),
            (b"f\n", "the policy has not driven in it yet"),
            (b"d\n", "episode 1 at place 7: discard"),
            (b"x\n", "x: unknown. Enter arms, Enter again holds, Ctrl-C leaves; e [PLACE]"),
        ):
            os.write(terminal, typed)
            hears(answer)
        assert mode(daemon) == "HOLD", "what scores moves nothing"
        process.send_signal(signal.SIGINT)
        hears("left: ")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(theirs)
