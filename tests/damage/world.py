"""One of everything that a command reads: small, whole, and fitting each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from actd.control.state import Event
from actd.datasets import DatasetWriter, Form
from actd.flightlog.episodes import EpisodeEvent, EpisodeLog
from tests import golden, layouts
from tests.report import flights
from tests.runs import START_NS

JOINTS = ("waist", "elbow", "gripper")
IMAGE = "observation.images.top"
SIZE = (64, 96)
NEEDLE = "needle"
"""What no output may hold: the user, the password and the key of a camera."""
FORM = Form(50, {"observation.state": JOINTS, "action": JOINTS}, {IMAGE: SIZE})
CONFIG = """# A deployment in full.
engine: engines/ort-int8
robot:
  name: cup
  units: rad
  joints:
    waist: {position: [-1, 1], velocity: 1.5, acceleration: 10}
    elbow: {position: [-1.5, 1.0], velocity: 1.5, acceleration: 10, start_distance: 0.1}
    gripper: {kind: gripper, position: [-1, 1], velocity: 1.5, acceleration: 9, interpolation: hold}
cameras:
  top: {type: opencv, index_or_path: "rtsp://needle:needle@192.0.2.1/needle", resize: [96, 64]}
control: {rate_hz: 50, policy_hz: 50, mode: temporal, temporal_coeff: 0.01}
staleness: {state_ms: 200, fault_after_ms: 2000}
link: {state_port: 9871, actions_port: 9872, status_port: 9873, control_port: 9874}
process: {tick: {cores: [0]}}
flight: {folder: flights, max_mb: 100}
"""
ARM = f"""class Arm:
    def connect(self): pass
    def read(self): return dict.fromkeys({JOINTS}, 0.0)
    def command(self, targets): pass
    def close(self): pass
"""
ACTION_STD = np.array([0.1, 0.2, 0.3])
"""As the checkpoint says of its training."""

RECIPE = """runtime: ort
precision: fp32
graph: fp32
tolerance: {max_std: 0.001, p99_std: 0.0005}
"""


def write_world(root: Path, checkpoint: Path, engines: Path) -> Path:
    """Fill `root`, beside copies of a checkpoint of three joints and its engines."""
    shutil.copytree(checkpoint, root / "checkpoint")
    shutil.copytree(engines, root / "engines")
    said = {"dataset": {"repo_id": "me/cup", "root": str(root / "dataset")}, "env": {}}
    (root / "checkpoint" / "train_config.json").write_text(json.dumps(said))
    layouts.write_lerobot_0_1(golden.CASES[0], root / "lerobot-0.1")
    layouts.write_lerobot_2024(golden.CASES[0], root / "lerobot-2024")
    layouts.write_original(root / "original")
    (root / "recipe.yaml").write_text(RECIPE)
    (root / "actd.yaml").write_text(CONFIG)
    # A camera that answers at once, if only that it is not there.
    (root / "doctor.yaml").write_text(CONFIG.replace("rtsp://me:secret@192.0.2.1/a", "none.avi"))
    (root / "arm.py").write_text(ARM)
    # The arm of the flight has a joint and a camera more.
    elbow = "    elbow:"
    four = "    shoulder: {position: [-1, 1], velocity: 1.5, acceleration: 10}\n"
    (root / "four.yaml").write_text(
        CONFIG.replace(elbow, four + elbow)
        .replace(
            "  top: {type",
            "  cam_wrist: {type: opencv, index_or_path: 1, resize: [640, 480]}\n  cam_high: {type",
        )
        .replace("[96, 64]", "[640, 480]")
    )
    _write_recordings(root)
    _write_flight(root)
    return root


def _write_recordings(root: Path) -> None:
    chance = np.random.default_rng(0)
    with DatasetWriter(root / "dataset", FORM) as writer:
        for length in (7, 5):
            episode = writer.begin("wave")
            for _ in range(length):
                vectors = {
                    key: (std * chance.normal(size=3)).astype(np.float32)
                    for key, std in (("observation.state", 1.0), ("action", ACTION_STD))
                }
                episode.add(vectors, {IMAGE: np.full((*SIZE, 3), 90, np.uint8)})
            episode.save()
    arrays = {
        IMAGE: chance.integers(0, 256, (3, *SIZE, 3), dtype=np.uint8),
        "observation.state": np.zeros((3, 3), np.float32),
    }
    np.savez(root / "obs.npz", **arrays)


def _write_flight(root: Path) -> None:
    """A run of another policy, with four joints."""
    flight = flights.fly(3.0, commands={50: Event.ARM, 130: Event.HOLD}, silent=[(1.6, 1.7)])
    run = flights.record(flight, root / "flights")
    log = EpisodeLog(run)
    for number, kind in enumerate(("start", "driven", "success"), 1):
        log.append(EpisodeEvent(number, 1, kind, 50, START_NS, 1e9, "ARMED", "7"))
