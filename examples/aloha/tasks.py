"""The tasks of the scripted expert: where the grippers go, one pose after the other.

`TASKS` is the table. A plan is a list of tracks that run at the same time, each at a pace of its
own; a track is a list of waypoints. A place that an arm cannot reach raises UnreachableError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actd.sim.scene import BAR, CUBE_NEAR, Scene
from examples.aloha.reach import Place, Reach

OPEN, SHUT = 0.9, 0.3
ABOVE_M, LIFT_M = 0.1, 0.14
# How far off the pose above the object is, and the others, in every joint.
ABOVE_NOISE_RAD, POSE_NOISE_RAD = 0.03, 0.004

BAR_PITCH_RAD, WAITING_PITCH_RAD = 1.4, 1.1

CUBE_HALF_M, CUBE_PITCH_RAD, CUBE_SHUT = 0.02, 1.25, 0.1
MEETING = Place(0.0, 0.5, 0.22, pitch=0.5)
# The fingers hold the cube this far ahead of the point that reach.py brings to a place; so far
# do they approach it and back off.
HELD_M, BACK_M = 0.028, 0.1

Pose = dict[str, float]


class Waypoint(NamedTuple):
    """Joints that move there within `seconds`, missing it by `noise_rad` in every joint."""

    seconds: float
    noise_rad: float
    pose: Pose


Track = Sequence[Waypoint]
Plan = Callable[[Reach, tuple[float, float, float], float], list[Track]]


@dataclass(frozen=True, slots=True)
class Task:
    """A scene and how it is done.

    plan: tracks for an object at x, y (metres) and yaw (radians), with the noise above it.
    """

    scene: Scene
    plan: Plan


def lift_bar(
    reach: Reach, place: tuple[float, float, float], above_noise_rad: float
) -> list[Track]:
    """The right arm grips and lifts the bar; the left one comes to where it will be."""
    x, y, yaw = place
    bar = Place(x, y, BAR.z_m, yaw, BAR_PITCH_RAD)
    above, lift = (bar._replace(z=bar.z + up) for up in (ABOVE_M, LIFT_M))
    right = [
        Waypoint(0.2, 0.0, {}),
        Waypoint(1.1, above_noise_rad, _at(reach, "right", above, OPEN)),
        Waypoint(0.7, POSE_NOISE_RAD, _at(reach, "right", bar, OPEN)),
        Waypoint(0.4, POSE_NOISE_RAD, _at(reach, "right", bar, SHUT)),
        Waypoint(0.7, POSE_NOISE_RAD, _at(reach, "right", lift, SHUT)),
    ]
    waiting = Place(bar.x - 0.16, bar.y - 0.1, 0.24, 0.5 * bar.yaw, WAITING_PITCH_RAD)
    left = [
        Waypoint(0.4, 0.0, {}),
        Waypoint(1.5, POSE_NOISE_RAD, _at(reach, "left", waiting, OPEN)),
    ]
    return [right, left]


def hand_over_cube(
    reach: Reach, place: tuple[float, float, float], above_noise_rad: float
) -> list[Track]:
    """The right arm brings the cube to where the left one takes it, always the same place.

    The left gripper is turned by a quarter, so that its fingers close where the right one's are
    not, and points at the face that was towards it when the cube was gripped.
    """
    x, y, _ = place
    cube = _ahead("right", Place(x, y, CUBE_HALF_M, pitch=CUBE_PITCH_RAD), -HELD_M)
    above = cube._replace(z=cube.z + ABOVE_M)
    giving = _ahead("right", MEETING, -HELD_M)
    away = _ahead("right", giving, -BACK_M)
    turned = MEETING._replace(pitch=CUBE_PITCH_RAD - MEETING.pitch, roll=np.pi / 2)
    taking = _ahead("left", turned, -HELD_M)
    waiting = _ahead("left", taking, -BACK_M)
    both = _at(reach, "right", above, OPEN) | _at(reach, "left", waiting, OPEN)
    track = [
        Waypoint(1.1, above_noise_rad, both),
        Waypoint(0.7, POSE_NOISE_RAD, _at(reach, "right", cube, OPEN)),
        Waypoint(0.4, POSE_NOISE_RAD, _at(reach, "right", cube, CUBE_SHUT)),
        Waypoint(1.0, POSE_NOISE_RAD, _at(reach, "right", giving, CUBE_SHUT)),
        Waypoint(0.7, POSE_NOISE_RAD, _at(reach, "left", taking, OPEN)),
        Waypoint(0.4, POSE_NOISE_RAD, _at(reach, "left", taking, CUBE_SHUT)),
        Waypoint(0.3, POSE_NOISE_RAD, _at(reach, "right", giving, OPEN)),
        Waypoint(0.7, POSE_NOISE_RAD, _at(reach, "right", away, OPEN)),
    ]
    return [track]


def _at(reach: Reach, side: str, place: Place, gripper: float) -> Pose:
    return reach.angles(side, place) | {f"{side}_arm_gripper": gripper}


def _ahead(side: str, place: Place, metres: float) -> Place:
    """`place` moved along where the gripper of `side` points."""
    level = metres * np.cos(place.pitch) * (-1 if side == "right" else 1)
    return place._replace(
        x=place.x + level * np.cos(place.yaw),
        y=place.y + level * np.sin(place.yaw),
        z=place.z - metres * np.sin(place.pitch),
    )


TASKS = {"bar": Task(BAR, lift_bar), "cube": Task(CUBE_NEAR, hand_over_cube)}
