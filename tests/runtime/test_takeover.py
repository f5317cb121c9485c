"""A leader takes over from a real daemon by command, is recorded, and gives back to the policy."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from actd.client import Robot
from actd.datasets import open_dataset
from actd.flightlog.reader import read_flight
from actd.link.age import boottime_ns
from actd.mode import Mode
from actd.replay.decisions import verify
from tests.background import repeated
from tests.runtime.conftest import JOINTS, Arm, Daemon, wait_until
from tests.runtime.test_daemon import armed
from tests.runtime.test_poses import moving
from tests.runtime.test_record import wait_for


class LedArm(Arm):
    """Beside it lies a leader that an operator moves a little in every cycle."""

    def __init__(self, robot: Robot) -> None:
        super().__init__(robot)
        self._places = itertools.count(1)
        self._send_state = robot.send_state
        robot.send_state = self._send  # type: ignore[method-assign]

    def _send(self, state: Mapping[str, float]) -> None:  # type: ignore[override]
        place = 0.2 * float(np.sin(next(self._places) / 20))
        self._send_state(state, leader=(dict.fromkeys(JOINTS, place), boottime_ns()))


__all__ = ["moving"]


def command(daemon: Daemon, word: str) -> str:
    words = [sys.executable, "-m", "actd", word, "--config", str(daemon.config)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return f"{done.returncode} {done.stdout}{done.stderr}".strip()


def test_a_leader_takes_over_is_recorded_and_gives_back(moving: Daemon, tmp_path: Path) -> None:
    daemon = moving
    folder = tmp_path / "waving"
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = LedArm(robot)
        operator.record(str(folder), "wave")
        wait_for(operator, "waiting")
        armed(daemon, arm)
        with repeated(lambda: arm.cycle(0.1)):
            wait_for(operator, "recording")
            for word, mode in (
                ("takeover", "TAKEOVER"),
                ("arm", "ARMED"),
                ("takeover", "TAKEOVER"),
            ):
                assert command(daemon, word) == f"0 {word}: done; test-robot is {mode}"
                wait_until(lambda mode=mode: arm.received[-1].mode.name == mode, mode)
            assert "already" in command(daemon, "takeover")
            assert "the leader leads; `actd hold` first" in command(daemon, "park")
            operator.stop()
            assert wait_for(operator, "saved", "failed")["why"] == "the daemon went to STOP"
    led = [action for action in arm.received if action.mode is Mode.TAKEOVER]
    assert len(led) > 20
    # What was sent is what is recorded, and it is marked.
    dataset = open_dataset(folder)
    marked = dataset.vectors(0, "intervention")[:, 0].astype(bool)
    heard = {np.array([*action.action.values()], np.float32).tobytes() for action in led}
    written = [row.tobytes() for row in dataset.actions(0)[marked]]
    assert sum(row in heard for row in written) > 0.8 * len(written)
    assert 0.5 * len(led) < marked.sum() < len(marked)
    assert not marked[0]
    code, printed = daemon.end()
    assert code == 0, printed
    result = verify(read_flight(tmp_path / "flights"))
    assert result.equal
    assert result.skipped == 0
