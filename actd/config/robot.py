"""The section `robot` of actd.yaml: the arm as the policy sees it, and what its joints may do.

`Joint` is one joint with every default filled in; `Config.joints` gives all of them. pydantic
raises ValidationError; `actd.config` turns it into lines.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from actd.config.section import NotNegative, Positive, Section
from actd.control.interpolation import Interpolation
from actd.control.limits import Kind
from actd.element_names import is_speed, unsupported_actions
from actd.errors import SEPARATOR

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GRIPPERS = ("grip", "jaw")
_TURNS = {"rad": 2 * math.pi, "deg": 360.0}

START_SHARE = 0.08
"""Of a joint's range: the usual start_distance."""

COMPARED: tuple[Kind, ...] = ("position", "continuous")
"""Kinds whose measured place is compared with the command unless the deployment says otherwise."""


def kind_named(name: str) -> Kind:
    """The kind of a joint by what it is called; position where the name says nothing."""
    if is_speed(name):
        return "velocity"
    return "gripper" if any(word in name.lower() for word in _GRIPPERS) else "position"


@dataclass(frozen=True, slots=True)
class Joint:
    """One joint of the action vector with every default filled in, in the policy's unit.

    `lower`, `upper`: the commands that are allowed, None for a continuous joint, which has no
    ends. `follow_distance` None: never compared. `turn`: of a continuous joint, else None.
    """

    name: str
    kind: Kind
    lower: float | None
    upper: float | None
    velocity: float
    acceleration: float
    start_distance: float
    follow_distance: float | None
    interpolation: Interpolation
    actuation_latency_ms: float
    turn: float | None


class JointConfig(Section):
    """One joint of the action vector, in the policy's unit (rad, deg, 0..1, ...)."""

    kind: Kind = Field(
        "position",
        description="position: a place it holds. velocity: a speed; at rest it is 0. gripper: a "
        "place that an object may keep it from. continuous: a place on a circle without ends.",
    )
    position: tuple[float, float] | None = Field(
        None,
        description="Smallest and largest command; of a velocity joint: of its speed. "
        "A continuous joint has none.",
    )
    velocity: Positive = Field(
        description="Largest change per second, unit/s: the speed of a joint that is told a "
        "place, the acceleration of one that is told a speed."
    )
    acceleration: Positive | None = Field(
        None, description="Largest change of speed, unit/s^2; a velocity joint needs none."
    )
    start_distance: Positive | None = Field(
        None,
        description="How far the first command may be from the measured pose, unit; default: "
        "robot.start_distance, else 8 % of the range or turn; gripper, velocity: the range.",
    )
    follow_distance: Positive | None = Field(
        None,
        description="How far the measured pose may be from the command for longer than "
        "control.follow_after_ms, unit; default: robot.follow_distance, else start_distance; "
        "gripper, velocity: not compared.",
    )
    interpolation: Interpolation | None = Field(
        None, description="Between rows of a chunk, for this joint; default: control.interpolation."
    )
    actuation_latency_ms: NotNegative | None = Field(
        None, description="For this joint; default: control.actuation_latency_ms."
    )
    turn: Positive | None = Field(
        None, description="continuous: one whole turn, unit; default: as robot.units says."
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> JointConfig:
        problems = list(self._problems())
        if problems:
            raise ValueError(SEPARATOR.join(problems))
        return self

    def _problems(self) -> list[str]:
        problems = []
        if self.kind == "continuous":
            if self.position is not None:
                problems.append("position: a continuous joint has no ends; remove it, or the kind")
        elif self.position is None:
            problems.append("position: missing; give the smallest and the largest command")
        else:
            low, high = self.position
            if not low < high:
                problems.append(f"position: [{low:g}, {high:g}] must rise from smallest to largest")
            elif self.kind == "velocity" and not low <= 0 <= high:
                problems.append(
                    f"position: [{low:g}, {high:g}] does not allow 0, where a velocity joint rests"
                )
        if self.acceleration is None and self.kind != "velocity":
            problems.append("acceleration: missing; give the largest change of speed, unit/s^2")
        if self.turn is not None and self.kind != "continuous":
            problems.append("turn: only a continuous joint has one; add kind: continuous")
        return problems

    @property
    def range(self) -> float | None:
        """Width of `position`, None for a continuous joint."""
        return None if self.position is None else self.position[1] - self.position[0]


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("use 1 to 64 of the characters A-Z a-z 0-9 . _ -, such as aloha-left")
    return value


RobotName = Annotated[str, AfterValidator(_name)]


class RobotConfig(Section):
    """The arm, as the policy sees it."""

    name: RobotName = Field(
        description="Names this robot in every message, so that no command reaches another one; "
        "such as aloha-left."
    )
    joints: dict[str, JointConfig] = Field(
        min_length=1, description="The action vector, in the order the policy was trained with."
    )
    state: list[str] | None = Field(
        None, description="Names of observation.state in order; default: the joints."
    )
    units: str = Field(
        "rad",
        description="Shown to the robot in hello. rad... or deg... says how much a turn of a "
        "continuous joint is.",
    )
    start_distance: Positive | None = Field(
        None, description="For position and continuous joints without their own start_distance."
    )
    follow_distance: Positive | None = Field(
        None, description="For position and continuous joints without their own follow_distance."
    )

    @model_validator(mode="after")
    def _pose_known(self) -> RobotConfig:
        missing = [name for name in self.joints if name not in self.state_names]
        if missing:
            words = unsupported_actions(missing) or (
                f"joints {', '.join(missing)} are commanded but not measured; give the values of "
                "observation.state that are theirs the same names under `state`"
            )
            raise ValueError(f"state: {words}")
        endless = [name for name, joint in self.joints.items() if joint.kind == "continuous"]
        without = [name for name in endless if self.turn_of(self.joints[name]) is None]
        if without:
            raise ValueError(
                f"joints: {', '.join(without)}: how much is a turn? units {self.units!r} begin "
                "with neither rad nor deg; add turn: to the joint"
            )
        return self

    @property
    def state_names(self) -> list[str]:
        """Names of observation.state, in order."""
        return self.state if self.state is not None else list(self.joints)

    def turn_of(self, joint: JointConfig) -> float | None:
        """One whole turn of a continuous joint, in its unit; None for any other."""
        if joint.kind != "continuous":
            return None
        return joint.turn or _TURNS.get(self.units.strip().lower()[:3])

    def width_of(self, joint: JointConfig) -> float:
        """The range of its commands; of a continuous joint: one turn."""
        return joint.range or self.turn_of(joint) or 0.0

    def start_distance_of(self, joint: JointConfig) -> float:
        """How far the first command may be from the measured pose, unit."""
        if joint.start_distance is not None:
            return joint.start_distance
        if joint.kind not in COMPARED:
            return self.width_of(joint)
        return self.start_distance or float(f"{START_SHARE * self.width_of(joint):.6g}")

    def follow_distance_of(self, joint: JointConfig) -> float | None:
        """How far the measured pose may be from the command, unit; None: not compared."""
        if joint.follow_distance is not None or joint.kind not in COMPARED:
            return joint.follow_distance
        return self.follow_distance or self.start_distance_of(joint)
