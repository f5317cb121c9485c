"""What `actd drive` says before anything moves."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from actd.drive import command
from actd.drive.arm import Joints
from actd.drive.ending import CutShort, Ending
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


# --- the way out


class Wheels:
    """A loop whose cycle and whose command of 0 end as `cycles` and `stands` say."""

    def __init__(self, cycles: BaseException | None, stands: BaseException | None) -> None:
        self._cycles, self._stands = cycles, stands
        self.stood = threading.Event()

    def cycle(self) -> None:
        time.sleep(0.001)
        if self._cycles is not None:
            raise self._cycles

    def stand(self) -> bool:
        self.stood.set()
        if self._stands is not None:
            raise self._stands
        return True


def run(loop: Any, operator: Any = None, *, park: bool = False) -> None:
    ending = Ending()
    with ending.watched():
        command._run(loop, operator, ending, [].append, park=park)


@pytest.mark.parametrize(
    ("cycles", "before"),
    [
        (ArmError("bus: gone, for 5.0 s"), "bus: gone, for 5.0 s"),
        (CutShort("the driver did not return within 3 s"), "the driver did not return within 3 s"),
        (RuntimeError("nobody foresaw it"), "RuntimeError: nobody foresaw it"),
    ],
)
def test_wheels_that_may_turn_are_what_it_ends_with(cycles: BaseException, before: str) -> None:
    with pytest.raises(ArmError) as error:
        run(Wheels(cycles, OSError("no")))
    assert str(error.value) == (f"{before}; then speeds to 0: OSError: no; stop the robot by hand")
    with pytest.raises(type(cycles)):
        run(Wheels(cycles, None))


def test_wheels_stand_before_an_unanswered_order_is_waited_for() -> None:
    loop, stood = Wheels(None, None), []

    class Silent:
        def request(self, order: str) -> None:
            signal.raise_signal(signal.SIGINT)  # the second
            stood.append(loop.stood.wait(2))

    signals = threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,))
    signals.start()
    with pytest.raises(CutShort):
        run(loop, Silent(), park=True)
    assert stood == [True]


def test_a_close_that_is_cut_short_does_not_hide_what_went_wrong_before() -> None:
    said: list[str] = []
    for signalled in ("SIGINT", "the driver did not return within 3 s"):
        try:
            try:
                raise ArmError("speeds to 0: no; stop the robot by hand")
            finally:
                try:
                    raise CutShort("one close")
                finally:
                    raise CutShort(signalled)
        except CutShort as cut:
            outcome = command._outcome(cut, Ending(), said.append)
        assert isinstance(outcome, ArmError)
        assert str(outcome) == "speeds to 0: no; stop the robot by hand"
        assert said.pop() == signalled


def test_a_driver_that_does_not_return_is_an_error_and_a_signal_is_none() -> None:
    said: list[str] = []
    hung = command._outcome(CutShort("it hangs"), Ending(), said.append)
    assert isinstance(hung, ArmError)
    assert str(hung) == "it hangs; the motors keep what they were told last"
    assert isinstance(command._outcome(CutShort("SIGINT"), Ending(), said.append), CutShort)
    assert said == ["SIGINT: the motors keep what they were told last"]
