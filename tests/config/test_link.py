"""What an operator's command reads of a deployment file, however broken the file is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.config import link_of, load
from actd.errors import ConfigError
from actd.link.sockets import Ports

GOOD = """\
# The arm at the window.
engine: engines/mine
robot:
  name: window
  joints:
    waist: {position: [-1, 1], velocity: 2, acceleration: 10}
cameras:
  top: {type: opencv, index_or_path: 0, width: 64, height: 48, fps: 30}
link:
  state_port: 9971
  actions_port: 9972
  status_port: 9973
  control_port: 9974
control: {rate_hz: 50}
"""
PORTS = Ports(9971, 9972, 9973, 9974)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "actd.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("fps: 30", "fps: -3, nonsense: 1"),
        ("position: [-1, 1]", "position: [1, -1]"),
        ("rate_hz: 50", "rate_hz: 50, rate_hz: 60"),
        ("fps: 30}", "fps: 30"),
        ("engine: engines/mine", "engine: [engines/mine"),
        ("engine: engines/mine", "engine: *nowhere"),
        ("engine: engines/mine\n", "engine: engines/mine\nrate: 2001-99-99\n"),
    ],
)
def test_nothing_else_needs_to_be_right(tmp_path: Path, old: str, new: str) -> None:
    link = link_of(write(tmp_path, GOOD.replace(old, new)))
    assert (link.robot, link.ports, link.problems) == ("window", PORTS, ())


def test_the_usual_ports_need_not_be_written(tmp_path: Path) -> None:
    assert link_of(write(tmp_path, "robot: {name: a}")).ports == Ports()


@pytest.mark.parametrize(
    ("change", "robot", "control", "problem"),
    [
        (("control_port: 9974", "control_port: 0"), "window", 9874,
         "actd.yaml:13:3 link.control_port: input should be greater than or equal to 1, found 0"),
        (("state_port: 9971", "stat_port: 9971"), "window", 9974,
         "actd.yaml:10:3 link.stat_port: unknown key (did you mean state_port?)"),
        (("state_port: 9971", "state_port: 9972"), "window", 9874, "the four ports must differ"),
        (("state_port: 9971", "state_port: ["), "window", 9874, "actd.yaml:12:14: not YAML"),
        (("name: window", "name: the window"), "", 9974,
         "actd.yaml:4:3 robot.name: use 1 to 64 of the characters A-Z a-z 0-9 . _ -, such as"),
        (("name: window", "nam: window"), "", 9974,
         "robot.name: missing: it says which robot is meant"),
        (("name: window", "name: window]"), "", 9974, "robot.name: use 1 to 64"),
        (("    waist: {", "  waist: {{"), "", 9974, "not YAML"),
        ((GOOD, ""), "", 9874, "expected a map with engine, robot and cameras"),
        ((GOOD, "- 1"), "", 9874, "expected a map with engine, robot and cameras"),
        ((GOOD, "{"), "", 9874, "not YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(
    tmp_path: Path, change: tuple[str, str], robot: str, control: int, problem: str
) -> None:
    link = link_of(write(tmp_path, GOOD.replace(*change)))
    assert (link.robot, link.ports.control) == (robot, control)
    assert problem in "\n".join(link.problems)


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        link_of(tmp_path / "actd.yaml")


_PIECES = st.one_of(
    st.text(alphabet=" \t\n{}[]:,-#&*!|>'\"%@`?0.\x00\x07é\u2028", max_size=4),
    st.text(max_size=3),
    st.sampled_from(["robot:", "link: ", "name: ", "!!python/name:x ", "<<: ", "? ", "2001-99-99"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 9), _PIECES), max_size=6))
def test_no_damage_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int, str]]
) -> None:
    """Whatever is left of the file, the answer is a name and ports or the reason why not."""
    text = GOOD
    for place, cut, put in damage:
        text = text[:place] + put + text[place + cut :]
    file = tmp_path_factory.getbasetemp() / "damaged.yaml"
    file.write_bytes(text.encode("utf-8", errors="replace"))
    link = link_of(file)
    assert link.robot or link.problems
    assert all(line.startswith(f"{file}") and "\n" not in line for line in link.problems)
    assert len(set(vars(link.ports).values())) == 4
    with suppress(ConfigError):
        load(file)
