from __future__ import annotations

from pathlib import Path

import pytest

from actd.drive.own_arm import load_arm
from actd.errors import UsageError

GOOD = """
from helper import PLACE
class MyArm:
    def connect(self): pass
    def read(self): return {"a": PLACE}
    def command(self, targets): self.told = targets
    def close(self): pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("PLACE = 0.25\n")
    return tmp_path / "my_arm.py"


def problem(file: Path, text: str, name: str = "MyArm") -> str:
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_arm(f"{file}:{name}")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_class_is_made_and_may_import_what_lies_beside_it(file: Path) -> None:
    file.write_text(GOOD)
    assert load_arm(f"{file}:MyArm").read() == {"a": 0.25}


def test_a_class_of_a_module_is_made() -> None:
    assert load_arm("tests.drive.test_bus_loop:Base").read()["arm.pos"] == 0.0


def test_every_missing_member_is_named(file: Path) -> None:
    told = problem(file, "class MyArm:\n    def connect(self): pass\n    read = {}\n")
    assert told == (
        f"{file}:MyArm: read: not a method; make it read(): return what is measured, "
        "{joint: value}, in the policy's units | command: missing; add command(targets): send "
        "{joint: target} to the motors and do not wait | close: missing; add close(): close the bus"
    )


@pytest.mark.parametrize(
    ("found", "instead", "told"),
    [
        ("command(self, targets)", "command(self)", "command: cannot be called as command(targets"),
        ("read(self)", "read(self, joint)", "read: cannot be called as read() (missing a required"),
        ("def connect(self)", "async def connect(self)", "connect: async; make it a plain method"),
        ("class MyArm", "class Other", "has no class MyArm; it has Other"),
        ("class MyArm", "MyArm = 3\nclass Other", "has no class MyArm; it has Other"),
        ("PLACE\n", "PLACE, NOTHING\n", "cannot be imported: cannot import name 'NOTHING'"),
        ("class MyArm:", "class MyArm", "cannot be imported: SyntaxError"),
        ("pass", "pass\n    def __init__(self, port): pass", "MyArm() failed: TypeError"),
        ("pass", "pass\n    def __init__(self): 1 / 0", "MyArm() failed: ZeroDivisionError"),
    ],
)
def test_what_cannot_be_used_is_one_line(file: Path, found: str, instead: str, told: str) -> None:
    assert told in problem(file, GOOD.replace(found, instead, 1))


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("my_arm.py", "expected a file and a class; give for example my_arm.py:MyArm"),
        ("my_arm.py:", "expected a file and a class"),
        (":MyArm", "expected a file and a class"),
        ("nowhere.py:MyArm", "nowhere.py: no such file"),
        ("no.such.module:MyArm", "no.such.module: cannot be imported"),
    ],
)
def test_places_that_are_none(place: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        load_arm(place)
    assert told in str(error.value)


def test_static_methods_will_do(file: Path) -> None:
    file.write_text(GOOD.replace("def read(self)", "@staticmethod\n    def read()"))
    assert load_arm(f"{file}:MyArm").read() == {"a": 0.25}
