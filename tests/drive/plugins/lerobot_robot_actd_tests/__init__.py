"""A LeRobot plugin with robots for tests: a simulated ALOHA, an ill one, one that sees noise."""

from .awkward import Awkward, AwkwardConfig
from .sim_aloha import SimAloha, SimAlohaConfig
from .still import Still, StillConfig

__all__ = ["Awkward", "AwkwardConfig", "SimAloha", "SimAlohaConfig", "Still", "StillConfig"]
