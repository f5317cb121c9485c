"""Delays read from tick records."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actd.control.state import Event
from actd.errors import ActdError
from actd.latency.passive import joint_delays
from actd.latency.response import Delay
from actd.latency.result import JointDelay, as_json, latency_ms, lines
from actd.runtime.channels import tick_dtype
from tests.control.rig import settings
from tests.report.flights import fly, record

JOINTS = ["shoulder", "elbow", "gripper"]
CONTROL = replace(
    settings(joints=3, lower=[-3.0, -3.0, 0.0], upper=[3.0, 3.0, 1.0]), joints=tuple(JOINTS)
)
PERIOD_NS = 20_000_000


def recording(seconds: float, late_s: float) -> np.ndarray:
    """Two joints that follow their commands, state seen at every tick; the gripper rests."""
    n = round(seconds * 1e9 / PERIOD_NS)
    ticks = np.zeros(n, tick_dtype(len(JOINTS), 0))
    t = np.arange(n) * PERIOD_NS
    ticks["seq"] = np.arange(1, n + 1)
    ticks["due_ns"] = t
    ticks["wake_ns"] = t + 100_000
    ticks["sent_ns"] = t + 200_000
    ticks["state_age_ns"] = 0
    commands = [lambda s: np.sin(2.1 * s) + 0.3 * np.sin(5 * s), lambda s: np.cos(3.3 * s)]
    for j, command in enumerate(commands):
        ticks["action"][:, j] = command(ticks["sent_ns"] / 1e9)
        ticks["positions"][:, j] = command(ticks["wake_ns"] / 1e9 - late_s)
    return ticks


def test_every_joint_that_moved_is_measured_and_the_other_refused_by_name() -> None:
    found = joint_delays(recording(20, 0.057), CONTROL)
    assert [joint.joint for joint in found] == JOINTS
    for joint in found[:2]:
        assert joint.delay is not None
        assert joint.delay.delay_ns == pytest.approx(57e6, abs=1e6)
    assert "less than 1% of its range" in found[2].reason
    assert latency_ms(found) == 57
    assert lines(found)[-1] == "control: {actuation_latency_ms: 57}"
    assert "gripper   not measured" in "\n".join(lines(found))
    assert as_json(found)["joints"]["gripper"] == {"reason": found[2].reason}


def test_breaks_are_not_measured_across() -> None:
    ticks = recording(30, 0.04)
    whole = joint_delays(ticks, CONTROL)[0]
    ticks["action"][600:700] = np.nan  # not commanded
    lost = np.delete(ticks, slice(1000, 1010))
    broken = joint_delays(lost, CONTROL)[0]
    assert whole.delay is not None
    assert broken.delay is not None
    assert (whole.delay.parts, broken.delay.parts) == (1, 3)
    assert broken.delay.delay_ns == pytest.approx(whole.delay.delay_ns, abs=0.5e6)


def test_states_slower_than_ticks_keep_their_own_times() -> None:
    ticks = recording(20, 0.04)
    for first in range(0, len(ticks), 3):
        ticks["positions"][first : first + 3] = ticks["positions"][first]
        ages = ticks["wake_ns"][first : first + 3] - ticks["wake_ns"][first]
        ticks["state_age_ns"][first : first + 3] = ages
    found = joint_delays(ticks, CONTROL)[0]
    assert found.delay is not None
    assert found.delay.delay_ns == pytest.approx(40e6, abs=1e6)


def test_a_recording_without_commands_says_so() -> None:
    ticks = recording(5, 0.04)
    ticks["action"] = np.nan
    found = joint_delays(ticks, CONTROL)
    with pytest.raises(ActdError, match="shoulder: nothing was commanded in this recording"):
        latency_ms(found)


def test_no_measurement_is_no_number() -> None:
    with pytest.raises(ActdError, match="j: it rested"):
        lines([JointDelay("j", reason="it rested")])


def test_a_joint_of_its_own_delay_gets_a_line_of_its_own() -> None:
    late = {"waist": 50.0, "elbow": 55.0, "gripper": 150.4}
    found = [JointDelay(name, delay=Delay(ms * 1e6, 0.0, 1.0, 1)) for name, ms in late.items()]
    control, own = lines(found)[-2:]
    assert control == "control: {actuation_latency_ms: 55}"
    assert own.startswith("robot: {joints: {gripper: {actuation_latency_ms: 150}}}")
    assert "actuation_latency_ms stays 0" in "\n".join(lines(found))


def test_a_continuous_joint_goes_on_where_a_turn_ends() -> None:
    ticks = recording(20, 0.04)
    for field in ("action", "positions"):
        beyond = ticks[field][:, 0] + np.pi
        ticks[field][:, 0] = (beyond + np.pi) % (2 * np.pi) - np.pi
    continuous = settings(joints=3, lower=-1e9, upper=1e9, turn=[2 * np.pi, 0.0, 0.0])
    found = joint_delays(ticks, continuous)[0]
    assert found.delay is not None
    assert found.delay.delay_ns == pytest.approx(40e6, abs=1e6)


def test_the_command_reads_a_recording(tmp_path: Path) -> None:
    # The arm covers 35 % of what is left per tick, after one: (1 + 0.65 / 0.35) periods of 20 ms,
    # less the 4 ms that its state is older than the tick that sees it.
    run = record(fly(15.0, commands={5: Event.ARM}), tmp_path)
    command = [sys.executable, "-m", "actd", "measure", "latency", str(run)]
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["latency_ms"] == pytest.approx(53, abs=2)
    assert list(told["joints"]) == ["waist", "shoulder", "elbow", "gripper"]

    one = subprocess.run(
        [*command, "--joint", "elbow"], capture_output=True, text=True, timeout=60, check=False
    )
    assert one.stdout.splitlines()[0].startswith("elbow ")
    assert "control: {actuation_latency_ms: " in one.stdout
    wrong = subprocess.run(
        [*command, "--joint", "wrist"], capture_output=True, text=True, timeout=60, check=False
    )
    assert wrong.returncode == 2
    assert "choose of waist, shoulder, elbow, gripper" in wrong.stderr
