"""What a joint is and what it may do: kinds, limits, and the flags that say what was limited."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from actd.arrays import Vector

Kind = Literal["position", "velocity", "gripper", "continuous"]
"""How a joint's command is meant.

- `position`: a place it holds.
- `velocity`: a speed; it rests at 0, wherever it is.
- `gripper`: a place that an object may keep it from; its command survives a reset.
- `continuous`: a place on a circle, where both ends of a turn are one.
"""


class Flag(IntEnum):
    """Why a command is not simply the chunk's action; on the wire as the sum of these bits."""

    POSITION = 1
    VELOCITY = 2
    ACCELERATION = 4
    NON_FINITE = 8
    EASING = 16
    UNDERRUN = 32
    STATE_STALE = 64
    CAMERA_STALE = 128
    CAMERA_FROZEN = 512
    CONTROLLER_LOST = 1024
    SLOWED = 2048
    FOLLOWING = 4096
    SILENCE = 8192
    LEADER_LOST = 16384


LIMIT_FLAGS = (Flag.POSITION, Flag.VELOCITY, Flag.ACCELERATION)
"""What each row of `JointLimiter.acted` stands for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per joint, each (action_dim,) and finite: position range, largest |velocity| and
    |acceleration|. For a velocity joint: the range of the speed, and its largest change per second.
    """

    lower: Vector
    upper: Vector
    velocity: Vector
    acceleration: Vector
