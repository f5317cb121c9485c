"""A real daemon moves a simulated arm to its poses, as an operator orders it by command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from actd.config import load
from actd.flightlog.reader import read_flight
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.replay.decisions import verify
from tests.background import repeated
from tests.runtime.conftest import JOINTS, Arm, Daemon, running, wait_until, write_config

FAR, PARK = 5.0, 1.0


@pytest.fixture
def moving(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Iterator[Daemon]:
    """A ready daemon with a pose to park in."""
    park = ", ".join(f"{name}: {PARK}" for name in JOINTS)
    extra = f"poses:\n  park: {{{park}}}\nflight: {{folder: {tmp_path / 'flights'}, max_mb: 64}}"
    sources = {"cam_high": str(video), "cam_low": str(video)}
    with running(write_config(tmp_path, small_engine, ports, sources, extra), ports) as subject:
        yield subject


@contextmanager
def arm_at(daemon: Daemon, place: float) -> Iterator[Arm]:
    """An arm that follows what it is told, in a thread of its own."""
    with daemon.robot() as robot:
        arm = Arm(robot)
        arm.positions = dict.fromkeys(JOINTS, place)
        with repeated(lambda: arm.cycle(0.1)):
            wait_until(lambda: arm.received and arm.received[-1].chunk > 0, "a chunk")
            yield arm


def command(daemon: Daemon, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "actd", *words, "--config", str(daemon.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(daemon: Daemon, *words: str) -> tuple[int, str, str]:
    process = command(daemon, *words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.slow
def test_there_and_back(moving: Daemon) -> None:
    with arm_at(moving, FAR) as arm:
        code, _, refused = said(moving, "arm")
        assert code == 1
        assert "the policy's first command is" in refused
        assert "`actd arm --from-here` moves it there" in refused

        code, out, err = said(moving, "arm", "--from-here")
        assert (code, out) == (0, "approach: done; test-robot is ARMED\n"), err
        assert "approach: moving for" in err
        modes = [action.mode for action in arm.received]
        moved = [a for a in arm.received if a.mode is Mode.MOVING]
        assert modes[-1] is Mode.ARMED
        assert {a.reason for a in moved} == {"operator: approach"}

        assert said(moving, "park")[2] == "park refused: armed; `actd hold` first\n"
        assert said(moving, "hold")[0] == 0
        wait_until(lambda: not arm.received[-1].rest_ms, "the arm to rest")
        code, out, err = said(moving, "park")
        assert (code, out) == (0, "park: done; test-robot is HOLD\n"), err
        assert arm.received[-1].reason == "parked"
        wait_until(lambda: set(arm.positions.values()) == {PARK}, "the arm to be there", 2)
    commands = np.array([list(a.action.values()) for a in moved])
    assert commands.max() <= FAR + 1e-9
    # All joints begin at one place; each of them goes straight to its own.
    way = commands[-1] - commands[0]
    shares = (commands - commands[0]) / np.where(way == 0, 1, way)
    assert np.ptp(shares[:, np.abs(way) > 0.1], axis=1).max() < 1e-6
    code, printed = moving.end()
    assert code == 0, printed
    replayed = verify(read_flight(moving.config.parent / "flights"))
    assert replayed.equal
    assert replayed.skipped == 0


@pytest.mark.slow
def test_a_move_is_watched_and_ended_by_whoever_ordered_it(moving: Daemon) -> None:
    with arm_at(moving, FAR) as arm, moving.operator() as operator:
        watcher = command(moving, "park")
        wait_until(lambda: arm.received[-1].mode is Mode.MOVING, "the move", 20)
        wait_until(lambda: (operator.ping().get("move") or {"share": 0})["share"] > 0.1, "its way")
        status = operator.status()
        assert status["mode"] == "MOVING"
        assert 0 < status["move"]["share"] < 1
        assert status["move"]["left_s"] > 0
        assert status["reason"] == "operator: park"
        watcher.send_signal(signal.SIGINT)
        out, err = watcher.communicate(timeout=20)
        assert (watcher.returncode, out) == (130, ""), err
        assert "park: interrupted" in err
        wait_until(lambda: not arm.received[-1].rest_ms, "the arm to rest")
        assert arm.received[-1].mode is Mode.HOLD
        held = dict(arm.positions)
        assert all(PARK < place < FAR for place in held.values())
        time.sleep(0.3)
        assert arm.positions == held

        watcher = command(moving, "park")
        wait_until(lambda: arm.received[-1].mode is Mode.MOVING, "the move", 20)
        operator.stop()
        code, err = watcher.wait(20), watcher.communicate()[1]
        assert code == 1
        assert "park: ended early: test-robot is STOP: operator: stop" in err


def test_where_the_arm_is_becomes_a_pose(moving: Daemon) -> None:
    before = moving.config.read_text()
    code, _, err = said(moving, "pose", "save", "start")
    assert code == 1
    assert "robot state: nothing yet (limit 500 ms); start the robot's controller" in err
    with arm_at(moving, 2.5):
        code, out, err = said(moving, "pose", "save", "start")
        assert code == 0, err
    assert out.endswith("start it again\n")
    assert load(moving.config).poses.start == dict.fromkeys(JOINTS, 2.5)
    written = moving.config.read_text().splitlines()
    assert [line for line in written if line in before.splitlines()] == before.splitlines()
    assert said(moving, "pose", "save", "home")[0] == 2
    status = json.loads(said(moving, "status", "--json")[1])
    assert status["positions"] == dict.fromkeys(JOINTS, 2.5)
