"""Robots that actd knows: names, units, limits, and the traps of their drivers.

One YAML file each in `robots/`. Raises UsageError for a robot that is not among them, or that a
policy cannot be of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from ruamel.yaml import YAML

from actd.config import JointConfig
from actd.config.section import Positive, Section
from actd.control.interpolation import Interpolation
from actd.errors import UsageError
from actd.resources import resource_dir

Scale = Literal["rad", "degrees", "percent"]
"""What positions may be counted in; percent is -100 to 100 of the calibrated range."""


class Form(Section):
    """The joints of a robot, counted in one way; `units` in words."""

    units: str
    joints: dict[str, JointConfig] = Field(min_length=1)


class Preset(Section):
    """A robot. `recorded_as`: how LeRobot's robot_type of it begins. `names`: fixed by the driver,
    or usual, and then a dataset's go before them. `forms`: the usual one first.
    """

    title: str
    recorded_as: list[str]
    names: Literal["fixed", "usual"]
    policy_hz: Positive
    rate_hz: Positive = 50.0
    interpolation: Interpolation = "linear"
    driver: str
    traps: list[str]
    forms: dict[Scale, Form] = Field(min_length=1)

    @model_validator(mode="after")
    def _same_joints(self) -> Preset:
        first, *others = (list(form.joints) for form in self.forms.values())
        if any(names != first for names in others):
            raise ValueError("forms: every one needs the same joints")
        return self

    @property
    def joints(self) -> list[str]:
        """The names of its joints, in order."""
        return list(next(iter(self.forms.values())).joints)

    def in_order(self, count: int, names: Sequence[str]) -> list[str] | None:
        """This robot's joints in the order of `names`, or in its own where those say nothing.

        None where it has not `count` joints, with or without the gripper that ends the list.
        """
        joints = self.joints
        if len(joints) == count + 1 and _kind(self, joints[-1]) == "gripper":
            joints = joints[:-1]
        if len(joints) != count:
            return None
        if self.knows(names):
            known = {_core(joint): joint for joint in joints}
            return [known[_core(name)] for name in names]
        return joints

    def knows(self, names: Sequence[str]) -> bool:
        """Whether `names` are those of its joints, as any version of its driver calls them."""
        cores = [_core(joint) for joint in self.joints]
        return len(names) > 0 and sorted(map(_core, names)) in (sorted(cores), sorted(cores[:-1]))


def preset_names() -> list[str]:
    """The robots that there are presets of."""
    return sorted(file.stem for file in resource_dir("robots").glob("*.yaml"))


@cache
def preset(name: str) -> Preset:
    """The preset of a robot. Raises UsageError."""
    if name not in preset_names():
        known = ", ".join(preset_names())
        raise UsageError(f"--robot: {name!r} is not known: choose from {known}")
    return Preset.model_validate(_read(resource_dir("robots") / f"{name}.yaml"))


def recorded_on(robot_type: str | None) -> str | None:
    """The preset of the robot that LeRobot's `robot_type` means."""
    text = (robot_type or "").lower()
    return next(
        (name for name in preset_names() if text.startswith(tuple(preset(name).recorded_as))),
        None,
    )


def _read(file: Path) -> object:
    with file.open(encoding="utf-8") as stream:
        return YAML(typ="safe").load(stream)


def _kind(robot: Preset, joint: str) -> str:
    return next(iter(robot.forms.values())).joints[joint].kind


def _core(name: str) -> str:
    """A joint's name without what drivers and their versions put around it."""
    core = name.lower().removeprefix("main_").removesuffix(".pos")
    return re.sub(r"[^a-z0-9]", "", core)
