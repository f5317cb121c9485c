"""A LeRobot plugin with robots for tests: a simulated ALOHA, and one that is never at rest."""

from .awkward import Awkward, AwkwardConfig
from .sim_aloha import SimAloha, SimAlohaConfig

__all__ = ["Awkward", "AwkwardConfig", "SimAloha", "SimAlohaConfig"]
