"""A robot that stays where it is, sees noise, and writes down what it is told."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot


@RobotConfig.register_subclass("still")
@dataclass
class StillConfig(RobotConfig):
    """`log` gets a line for each action; `views` are the names of its images, by commas."""

    log: Path = Path("told.jsonl")
    joints: int = 14
    views: str = "top,wrist"
    height: int = 96
    width: int = 128


class Still(Robot):
    config_class = StillConfig
    name = "still"

    def __init__(self, config):
        super().__init__(config)
        self.config = config
        self.cameras = {}
        self._chance = np.random.default_rng(3)
        self._log = None

    @property
    def action_features(self):
        return {f"j{number}.pos": float for number in range(self.config.joints)}

    @property
    def observation_features(self):
        shape = (self.config.height, self.config.width, 3)
        return self.action_features | dict.fromkeys(self.config.views.split(","), shape)

    @property
    def is_connected(self):
        return self._log is not None

    @property
    def is_calibrated(self):
        return True

    def connect(self, calibrate=True):
        self._log = self.config.log.open("w", buffering=1)

    def calibrate(self):
        pass

    def configure(self):
        pass

    def get_observation(self):
        return {
            name: 0.0 if kind is float else self._chance.integers(0, 256, kind, np.uint8)
            for name, kind in self.observation_features.items()
        }

    def send_action(self, action):
        json.dump({name: float(value) for name, value in action.items()}, self._log)
        self._log.write("\n")
        return action

    def disconnect(self):
        self._log.close()
        self._log = None
