from __future__ import annotations

from typing import Any

import pytest

from actd.element_names import element_names, is_speed, unfit_names, unsupported_actions


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([["a", "b", "c"]], ("a", "b", "c")),
        ([[["a"], ["b", "c"]]], ("a", "b", "c")),
        ({"motors": ["a", "b", "c"]}, ("a", "b", "c")),
        ({"arm": ["a", "b"], "hand": ["c"]}, ("a", "b", "c")),
        ({"arm": {"b": 1, "a": 0}, "hand": {"c": 0}}, ("a", "b", "c")),
        ({"c": 2, "a": 0, "b": 1}, ("a", "b", "c")),
        ([0, 1, 2], ("0", "1", "2")),
        (["actions"], ()),
        ("actions", ()),
        (None, ()),
        ({}, ()),
        (3, ()),
    ],
)
def test_names_in_every_form(names: Any, expected: tuple[str, ...]) -> None:
    feature = {"dtype": "float32", "shape": [3], "names": names}
    assert element_names(feature) == expected
    assert (unfit_names(feature) != "") == (names == ["actions"])


@pytest.mark.parametrize(
    ("name", "speed"),
    [
        ("x.vel", True),
        ("base_vel_x", True),
        ("theta.velocity", True),
        ("Linear_Speed", True),
        ("left.wheel_vel", True),
        ("velcro.pos", False),
        ("shoulder_pan.pos", False),
    ],
)
def test_speeds_by_their_names(name: str, speed: bool) -> None:
    assert is_speed(name) is speed


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["delta_x", "dy", "gripper"], "relative actions (delta_x, dy) are not supported"),
        (["ee.d_yaw", "ee.droll"], "relative actions (ee.droll) are not supported"),
        (["rel_x"], "relative actions (rel_x) are not supported"),
        (["elbow.effort"], "torques (elbow.effort) are not supported"),
        (["dx", "elbow_torque"], "relative actions (dx) and torques (elbow_torque) are not"),
        (["shoulder_pan.pos", "delto.pos", "x", "index"], ""),
    ],
)
def test_actions_that_actd_does_not_command(names: list[str], words: str) -> None:
    sentence = unsupported_actions(names)
    assert words in sentence
    assert bool(sentence) == bool(words)
