"""What `actd drive` says before anything moves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from actd.drive import command
from actd.drive.arm import Joints
from actd.errors import ArmError


class Reading:
    """An arm that reads `reading`, after `seconds`."""

    def __init__(self, reading: object, seconds: float = 0) -> None:
        self._reading, self._seconds = reading, seconds

    def connect(self) -> None: ...

    def read(self) -> object:
        time.sleep(self._seconds)
        return self._reading

    def command(self, targets: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


def joints(arm: Reading, said: list[str]) -> Joints:
    return command._joints(arm, said.append)  # type: ignore[arg-type]


def test_an_arms_joints_are_what_it_reads() -> None:
    said: list[str] = []
    assert joints(Reading({"waist": 0.1, "elbow": 0.2}), said).measured == ("waist", "elbow")
    assert said == []


@pytest.mark.parametrize("reading", [[0.1, 0.2], (0.1,), None, 0.1])
def test_a_reading_without_names_is_one_line(reading: object) -> None:
    with pytest.raises(ArmError) as error:
        joints(Reading(reading), [])
    assert str(error.value) == (
        f"read: returned a {type(reading).__name__}; return {{joint: value}}"
    )


def test_a_driver_that_does_not_return_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_SLOW_S", 0.05)
    said: list[str] = []
    joints(Reading({"waist": 0.1}, seconds=0.5), said)
    assert said == ["read: the driver has not returned yet; waiting"]


def test_a_class_that_is_not_there_is_said_without_a_daemon(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "actd", "drive", "mine.py:MyArm", "--ports", "1,2,3,4"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == "mine.py: no such file; give for example my_arm.py:MyArm\n"
