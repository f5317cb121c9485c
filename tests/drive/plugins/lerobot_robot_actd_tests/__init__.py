"""A LeRobot plugin for tests: robots (an ALOHA, an ill one, one that sees noise), a camera."""

from .awkward import Awkward, AwkwardConfig
from .sim_aloha import SimAloha, SimAlohaConfig
from .still import Still, StillConfig
from .swaying_camera import SwayingCamera, SwayingCameraConfig

__all__ = [
    "Awkward",
    "AwkwardConfig",
    "SimAloha",
    "SimAlohaConfig",
    "Still",
    "StillConfig",
    "SwayingCamera",
    "SwayingCameraConfig",
]
