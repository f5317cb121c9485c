"""What is said of two robots on one computer, and of a unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.service.status import UnitState, collisions
from tests.config.test_config import GOOD, read

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
