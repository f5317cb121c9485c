from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.drive.agreement import DEGREES, NORMALIZED, PERCENT, RADIANS, disagreement, unit_named
from actd.drive.arm import Joints

NAMES = ("shoulder.pos", "elbow.pos", "gripper.pos")
UNITS = {"shoulder.pos": DEGREES, "elbow.pos": DEGREES, "gripper.pos": PERCENT}


def hello(names: tuple[str, ...] = NAMES, units: str = "degrees") -> dict[str, Any]:
    return {"joints": list(names), "state": list(names), "units": units}


def robot(names: tuple[str, ...] = NAMES, **other: Any) -> Joints:
    return Joints(measured=names, commanded=names, units=UNITS, ordered=True, **other)


def test_the_same_joints_agree() -> None:
    assert disagreement(hello(), robot()) == ""


def test_what_a_robot_measures_besides_is_its_own_affair() -> None:
    joints = Joints(measured=("battery", *NAMES), commanded=NAMES, ordered=True)
    assert disagreement(hello(), joints) == ""


def test_a_class_of_ones_own_has_no_order() -> None:
    assert disagreement(hello(), Joints(measured=NAMES[::-1])) == ""
    assert "the robot has no gripper.pos" in disagreement(hello(), Joints(measured=NAMES[:2]))


def test_another_order_is_refused_unless_it_is_meant() -> None:
    names = (NAMES[1], NAMES[0], NAMES[2])
    table = disagreement(hello(names), robot())
    assert table.splitlines() == [
        "   actd          the robot",
        "1  elbow.pos     shoulder.pos  another place",
        "2  shoulder.pos  elbow.pos     another place",
        "3  gripper.pos   gripper.pos",
        "joints: actd and the robot do not agree; name the joints of actd.yaml as the robot does, "
        "in the order of the training data, and set the robot to the units of the training data; "
        "where actd.yaml has it right: --any-order",
    ]
    assert disagreement(hello(names), robot(), any_order=True) == ""


def test_names_that_differ_are_named() -> None:
    table = disagreement(hello(("waist", *NAMES[1:])), robot())
    assert "1  waist        shoulder.pos  the robot has no waist, actd has no shoulder.pos" in table
    assert "--any-order" not in table


def test_joints_without_a_counterpart_are_named() -> None:
    assert "4                wheel" in disagreement(hello(), robot((*NAMES, "wheel.vel")))
    assert "actd has no wheel.vel" in disagreement(hello(), robot((*NAMES, "wheel.vel")))
    assert "the robot has no gripper.pos" in disagreement(hello(), robot(NAMES[:2]))


@pytest.mark.parametrize("units", ["rad", "radians", "-100 to 100", "normalized"])
def test_other_units_are_refused(units: str) -> None:
    table = disagreement(hello(units=units), robot(), any_order=True)
    assert table.count("the robot degrees") == 2
    assert "gripper.pos   gripper.pos\n" in table


@pytest.mark.parametrize("units", ["degrees, gripper 0 to 100", "deg", "Degrees", "mm", ""])
def test_units_that_fit_or_say_nothing_are_accepted(units: str) -> None:
    assert disagreement(hello(units=units), robot()) == ""


def test_units_by_their_names() -> None:
    named = {text: unit_named(text) for text in ("rad", "deg", "-100..100", "normalised", "0..1")}
    assert [*named.values()] == [RADIANS, DEGREES, NORMALIZED, NORMALIZED, ""]


@given(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1), st.data())
def test_any_two_lists_agree_exactly_where_they_are_equal(names: list[str], data: Any) -> None:
    other = data.draw(st.permutations(names) | st.lists(st.sampled_from("abcdef"), unique=True))
    joints = Joints(measured=tuple(other), commanded=tuple(other), ordered=True)
    assert (disagreement(hello(tuple(names)), joints) == "") == (names == list(other))
