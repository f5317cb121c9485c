"""A leader beside `actd drive`, before a real daemon, judged by where the arm was."""

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
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.arrays import Vector
from actd.drive.leader import faded
from actd.errors import LinkError
from tests.drive.conftest import ARMS, JOINTS, Driven, mode, set_in_motion
from tests.drive.test_drive import _STILL, assert_no_jump
from tests.runtime.conftest import Daemon, wait_until

_NEAR = 0.03


class Led:
    """`actd drive` with an arm and a leader, each in a class of `arms.py`."""

    def __init__(
        self, driven: Callable[..., Driven], folder: Path, kind: str, **names: str
    ) -> None:
        self._folder = folder
        self.environment = {
            "LEADER_LOG": str(folder / "leader.log"),
            "LEADER_TO": str(folder / "hand"),
            "LEADER_WHEN": str(folder / "leader.mishap"),
            **names,
        }
        self.one = driven("Plain", f"--teleop={ARMS}:{kind}", environment=self.environment)

    def lines(self) -> list[str]:
        """What the leader has written."""
        log = self._folder / "leader.log"
        return log.read_text().splitlines()[:-1] if log.exists() else []

    def place(self) -> Vector:
        """Where the leader is, (joints,)."""
        read = [line for line in self.lines() if line[:1].isdigit()]
        return np.array(read[-1].split()[1:], float) if read else np.full(len(JOINTS), np.inf)

    def arm(self) -> Vector:
        """Where the arm is, (joints,)."""
        place: Vector = self.one.places()[1][-1]
        return place

    def hand_to(self, place: Vector) -> None:
        """Let the operator's hand bring the leader there, in its own time."""
        part = self._folder / "hand.part"
        part.write_text(" ".join(map(str, place)))
        part.rename(self._folder / "hand")

    def fall_ill(self, how: str) -> None:
        (self._folder / "leader.mishap").write_text(how)

    def brought(self, place: Vector) -> None:
        """The hand brings the leader there, and it is there."""
        self.hand_to(place)
        wait_until(lambda: np.abs(self.place() - place).max() < 1e-3, "the leader to be there")


@pytest.fixture
def led(driven: Callable[..., Driven], tmp_path: Path) -> Callable[..., Led]:
    return lambda kind, **names: Led(driven, tmp_path, kind, **names)


def order(daemon: Daemon, command: str) -> str:
    """Give an order; why it was refused, "" where it was obeyed."""
    with daemon.operator() as operator:
        try:
            operator.request(command)
        except LinkError as error:
            return str(error)
    return ""


def held(daemon: Daemon, one: Led) -> None:
    """In motion, and then held at rest."""
    set_in_motion(daemon, one.one)
    assert order(daemon, "hold") == ""
    wait_until(lambda: one.one.speed(0.2) < _STILL, "the arm to rest")


def taken_over(daemon: Daemon, one: Led) -> None:
    """Held, the leader brought to the arm, which it leads now."""
    held(daemon, one)
    one.brought(one.arm())
    assert order(daemon, "takeover") == ""
    assert mode(daemon) == "TAKEOVER"


def test_a_leader_in_the_hand_leads_from_where_the_arm_is(
    daemon: Daemon, led: Callable[..., Led]
) -> None:
    one = led("Handheld")
    held(daemon, one)
    one.brought(one.arm() + np.array([0.6, 0, 0, 0, 0, 0]))
    refused = order(daemon, "takeover")
    assert "joint shoulder_pan.pos: the leader is 0.6" in refused
    assert "bring the leader to where the arm is" in refused
    one.brought(one.arm() + 0.1)
    assert order(daemon, "takeover") == ""
    goal = one.arm() + np.array([0.3, -0.2, 0.2, 0.1, -0.1, 0.2])
    one.hand_to(goal)
    wait_until(lambda: np.abs(one.arm() - goal).max() < _NEAR, "the arm to be where the leader is")
    assert mode(daemon) == "TAKEOVER"
    summary = one.one.leave()
    assert one.one.speed(0.1) < _STILL
    assert_no_jump(one.one)
    assert summary["failures"] == 0
    assert one.lines()[-1:] != ["connect"]
    assert "TAKEOVER: operator: takeover" in one.one.said
    assert mode(daemon) == "HOLD"


@pytest.mark.slow
def test_a_leader_with_motors_goes_along_until_it_leads(
    daemon: Daemon, led: Callable[..., Led]
) -> None:
    one = led("Motored")
    set_in_motion(daemon, one.one)
    wait_until(lambda: np.abs(one.place() - one.arm()).max() < 0.15, "the leader to go along")
    began = next(line for line in one.lines() if line.startswith("follow"))
    first = np.array(began.split()[1:], float)
    assert np.abs(first).max() < 1e-3, "it began elsewhere than where it was"
    wait_until(lambda: not order(daemon, "takeover"), "the takeover")
    wait_until(lambda: "release" in one.lines(), "the leader to be let go")
    goal = one.place() * 0.5
    one.hand_to(goal)
    wait_until(lambda: np.abs(one.arm() - goal).max() < _NEAR, "the arm to be where the leader is")
    assert mode(daemon) == "TAKEOVER"
    wait_until(lambda: not order(daemon, "arm"), "the policy to be near")
    wait_until(lambda: "follow" in " ".join(one.lines()[-2:]), "the leader to go along again")
    one.one.leave()
    assert_no_jump(one.one)


def test_a_leader_with_other_joints_is_refused_with_a_table(
    daemon: Daemon, led: Callable[..., Led]
) -> None:
    names = ",".join((*JOINTS[:5], "trigger.pos"))
    one = led("Handheld", LEADER_NAMES=names)
    assert one.one.wait() == 2
    said = one.one.said.splitlines()
    assert "6  gripper.pos        trigger.pos        the leader has no gripper.pos" in said[-2]
    assert said[-1].startswith("joints: actd and the leader do not agree; connect a leader")
    assert "close" in one.lines() + one._folder.joinpath("leader.log").read_text().splitlines()
    assert mode(daemon) == "IDLE"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Mute", "Mute: read: missing; add read(): return what is measured"),
        ("HalfMotored", "HalfMotored: release: missing; add release(): switch the motors off"),
        ("Nobody", "has no class Nobody; it has "),
    ],
)
def test_what_is_no_leader_is_refused(
    daemon: Daemon, led: Callable[..., Led], kind: str, words: str
) -> None:
    one = led(kind)
    assert one.one.wait() == 2
    assert words in one.one.said
    assert one.one.said.count("\n") == 1


@pytest.mark.faults
@pytest.mark.parametrize(
    ("illness", "reason", "said"),
    [
        (
            "unplugged",
            "the leader is ",
            "leader: read: ConnectionError: There is no status packet!",
        ),
        ("nan", "the leader is ", "leader: read: elbow_flex.pos is nan"),
        ("hung", "the leader is ", ""),
        ("leaps", "the leader jumped by 2", ""),
    ],
)
def test_a_leader_that_falls_ill_leads_no_more_and_the_arm_is_driven_on(
    daemon: Daemon, led: Callable[..., Led], illness: str, reason: str, said: str
) -> None:
    one = led("Handheld")
    taken_over(daemon, one)
    before = one.arm()
    began_s = time.monotonic()
    one.fall_ill(illness)
    wait_until(lambda: mode(daemon) == "HOLD", "the hold")
    assert time.monotonic() - began_s < 1.5
    with daemon.operator() as operator:
        assert reason in operator.status()["reason"]
    wait_until(lambda: one.one.speed(0.2) < _STILL, "the arm to rest")
    assert np.abs(one.arm() - before).max() < _NEAR
    assert said in one.one.said
    # The bus of the arm has noticed nothing.
    wait_until(lambda: not order(daemon, "arm"), "the policy", 30)
    summary = one.one.leave()
    assert summary["failures"] == 0
    assert ("its driver did not return" in one.one.said) == (illness == "hung")
    assert_no_jump(one.one)


@pytest.mark.faults
def test_a_leader_that_works_again_may_lead_again_when_told(
    daemon: Daemon, led: Callable[..., Led]
) -> None:
    one = led("Handheld")
    taken_over(daemon, one)
    one.fall_ill("unplugged")
    wait_until(lambda: mode(daemon) == "HOLD", "the hold")
    one.fall_ill("")
    wait_until(lambda: "leader: works again" in one.one.said, "the leader")
    time.sleep(0.5)
    assert mode(daemon) == "HOLD"
    assert order(daemon, "takeover") == ""
    one.one.leave()
    assert_no_jump(one.one)


def test_a_key_takes_over_and_gives_back(daemon: Daemon, tmp_path: Path) -> None:
    terminal, theirs = pty.openpty()
    environment = {
        "PYTHONPATH": str(ARMS.parents[2]),
        "ARM_LOG": str(tmp_path / "log"),
        "ARM_NAMES": ",".join(JOINTS),
        "LEADER_LOG": str(tmp_path / "leader.log"),
        "LEADER_TO": str(tmp_path / "hand"),
        "LEADER_WHEN": str(tmp_path / "leader.mishap"),
    }
    words = [sys.executable, "-m", "actd", "drive", f"{ARMS}:Plain", "-c", str(daemon.config)]
    process = subprocess.Popen(
        [*words, "--arm", f"--teleop={ARMS}:Motored"],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, **environment},
        cwd=tmp_path,
    )
    said = ""

    def hears(text: str, key: bytes, timeout_s: float = 15) -> None:
        """Press a key, again where it is refused, until this is said."""
        nonlocal said
        said, deadline, pressed = "", time.monotonic() + timeout_s, 0.0
        while text not in said:
            assert time.monotonic() < deadline, said
            if key and time.monotonic() - pressed > 0.5:
                os.write(terminal, key)
                pressed = time.monotonic()
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096).decode()

    try:
        hears("t Enter takes over or gives back", b"")
        hears("TAKEOVER: operator: takeover", b"t\n")
        hears("HOLD: operator: hold", b"\n")
        time.sleep(0.5)
        hears("TAKEOVER: operator: takeover", b"t\n")
        assert mode(daemon) == "TAKEOVER"
        hears("ARMED", b"t\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(theirs)


@settings(deadline=None)
@given(
    begin=st.lists(st.floats(-3, 3), min_size=2, max_size=2),
    end=st.lists(st.floats(-3, 3), min_size=2, max_size=2),
    shares=st.lists(st.floats(-1, 2), min_size=1).map(sorted),
)
def test_a_leader_goes_to_the_arm_without_a_jump(
    begin: list[float], end: list[float], shares: list[float]
) -> None:
    names = ("a", "b")
    one: dict[str, Any] = dict(zip(names, begin, strict=True))
    other = dict(zip(names, end, strict=True))
    assert faded(one, other, -0.5) == one
    assert faded(one, other, 1.5) == pytest.approx(other)
    places = np.array([[*faded(one, other, share).values()] for share in shares])
    along = (places - begin) * np.sign(np.array(end) - begin)
    assert (np.diff(along, axis=0) >= -1e-12).all()
    steps = np.abs(np.diff(places, axis=0))
    allowed = 1.5 * np.abs(np.array(end) - begin) * np.diff(shares)[:, None]
    assert (steps <= allowed + 1e-9).all()
