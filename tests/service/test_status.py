"""What is said of two robots on one computer, and of a unit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actd.service import Service
from actd.service.status import UnitState, collisions, engaged, running_services
from tests.config.test_config import GOOD, read
from tests.ports import free_ports

OTHER = Path("/etc/actd/left.yaml")
LINK = "link: {state_port: 9971, actions_port: 9972, status_port: 9973, control_port: 9974}\n"
PAGE = "dashboard: {enabled: true}\n"


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        (GOOD + LINK, GOOD.replace("cup-left", "cup-right"), []),
        (GOOD + LINK, GOOD, ["robot.name cup-left is that of /etc/actd/left.yaml too; give"]),
        (
            GOOD,
            GOOD.replace("cup-left", "cup-right") + LINK.replace("9973", "9872"),
            ["ports 9872 are those of /etc/actd/left.yaml too; give one of them others, under"],
        ),
        (GOOD + LINK + PAGE, GOOD.replace("cup-left", "cup-right") + PAGE, ["ports 9875 are"]),
        (GOOD + LINK + PAGE, GOOD.replace("cup-left", "cup-right"), []),
    ],
)
def test_two_robots_share_neither_name_nor_ports(
    tmp_path: Path, mine: str, theirs: str, words: list[str]
) -> None:
    lines = list(collisions(read(tmp_path, mine), read(tmp_path, theirs), OTHER))
    assert len(lines) == len(words)
    assert all(line.startswith(word) for line, word in zip(lines, words, strict=True)), lines


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (UnitState("inactive", "success", "", 0, 0), "inactive"),
        (
            UnitState("active", "success", "IDLE", 7, 2),
            "active, process 7, restarted 2 times: IDLE",
        ),
        (UnitState("failed", "timeout", "", 0, 0), "failed (timeout)"),
    ],
)
def test_the_state_of_a_unit_is_one_line(state: UnitState, line: str) -> None:
    assert str(state) == line


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `systemctl` that prints what the test writes into a file."""
    says = tmp_path / "says"
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat {says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return says


def test_what_runs_is_asked_of_systemd(systemctl: Path) -> None:
    systemctl.write_text(
        "actd.service       loaded active     running      actd\n"
        "actd@left.service  loaded activating auto-restart actd (left)\n"
    )
    assert running_services() == [Service(), Service("left")]


@pytest.mark.parametrize("active", ["active", "activating"])
def test_silence_is_an_arm_that_moves_unless_the_daemon_only_starts(
    systemctl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, active: str
) -> None:
    systemctl.write_text(f"ActiveState={active}\n")
    config = tmp_path / "actd.yaml"
    config.write_text(f"robot: {{name: cup}}\nlink: {{control_port: {free_ports().control}}}\n")
    monkeypatch.setattr(Service, "config", config)
    why = engaged(Service())
    assert (why is None) == (active == "activating")
    assert why is None or why.startswith("whether the arm is engaged is not known (")
