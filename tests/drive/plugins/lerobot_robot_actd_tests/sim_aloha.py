"""The simulated ALOHA as a LeRobot robot, in real time."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lerobot.robots.config import RobotConfig
from lerobot.robots.robot import Robot

from actd.link.age import boottime_ns
from actd.sim.aloha import JOINTS, AlohaSim
from actd.sim.scene import BAR

_STEP_S = 0.01


@RobotConfig.register_subclass("sim_aloha")
@dataclass
class SimAlohaConfig(RobotConfig):
    """`log` gets a line of places for each step."""

    log: Path = Path("arm.log")


class SimAloha(Robot):
    config_class = SimAlohaConfig
    name = "sim_aloha"

    def __init__(self, config):
        super().__init__(config)
        self.config = config
        self._sim = None
        self._targets = {}
        self._lock = threading.Lock()

    @property
    def observation_features(self):
        return {f"{joint}.pos": float for joint in JOINTS}

    action_features = observation_features

    @property
    def is_connected(self):
        return self._sim is not None

    @property
    def is_calibrated(self):
        return True

    def connect(self, calibrate=True):
        self._sim = AlohaSim(BAR)
        threading.Thread(target=self._live, daemon=True).start()

    def calibrate(self):
        pass

    def configure(self):
        pass

    def get_observation(self):
        with self._lock:
            return {f"{joint}.pos": place for joint, place in self._sim.state().items()}

    def send_action(self, action):
        with self._lock:
            self._targets = {key.removesuffix(".pos"): value for key, value in action.items()}
        return action

    def disconnect(self):
        with self._lock:
            self._sim.close()
            self._sim = None

    def _live(self):
        last_s = time.monotonic()
        with self.config.log.open("w", buffering=1) as log:
            while True:
                time.sleep(_STEP_S)
                now_s = time.monotonic()
                with self._lock:
                    if self._sim is None:
                        return
                    self._sim.step(self._targets, now_s - last_s)
                    places = self._sim.state().values()
                last_s = now_s
                log.write(f"{boottime_ns()} {' '.join(f'{place:.6f}' for place in places)}\n")
