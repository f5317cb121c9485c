"""A robot that asks, fails or lies, as `--robot.illness` says."""

from dataclasses import dataclass

from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot

NAMES = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


@RobotConfig.register_subclass("awkward")
@dataclass
class AwkwardConfig(RobotConfig):
    illness: str = ""


class Awkward(Robot):
    config_class = AwkwardConfig
    name = "awkward"

    def __init__(self, config):
        super().__init__(config)
        if config.illness == "unmade":
            raise ValueError("no such port\nanywhere")
        self.illness = config.illness
        self._connected = False

    @property
    def observation_features(self):
        return {**{f"{name}.pos": float for name in NAMES}, "front": (48, 64, 3)}

    @property
    def action_features(self):
        return {f"{name}.pos": float for name in NAMES}

    @property
    def is_connected(self):
        return self._connected

    @property
    def is_calibrated(self):
        return self.illness != "uncalibrated"

    def connect(self, calibrate=True):
        self._connected = True
        if self.illness == "asks":
            input("Put the arm\nupright and press ENTER")
        if self.illness == "unplugged":
            raise ConnectionError("Could not connect") from OSError(13, "Permission denied", "tty")

    def calibrate(self):
        raise AssertionError("nobody calibrates here")

    def configure(self):
        pass

    def get_observation(self):
        reading = dict.fromkeys(self.action_features, 0.0)
        if self.illness == "nan":
            reading["elbow_flex.pos"] = float("nan")
        return reading | {"front": None}

    def send_action(self, action):
        return action

    def disconnect(self):
        self._connected = False
        if self.illness == "stays":
            raise RuntimeError("the bus is gone")
