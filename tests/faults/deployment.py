"""The deployment that faults are injected into: a robot, its limits, two cameras, free ports."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actd.arrays import Vector
from actd.link.sockets import Ports
from actd.mode import Mode
from tests.faults.arm import ROBOT
from tests.faults.body import Servo
from tests.faults.engine import COMPARED, GRIPPER, HEIGHT, JOINTS, WIDTH, reach
from tests.faults.life import Bounds, Life
from tests.ports import HOST, link_section
from tests.videos import write_video

RATE_HZ = 50
STATE_MS, CAMERA_MS, CONTROLLER_MS = 200, 400, 300
FROZEN_MS, CHUNK_MS, FAULT_AFTER_MS = 500, 500, 2000
FOLLOW_MS = 200
FLIGHT_MB = 16
LATE_MS = 450

_FPS = 30
_LEVELS = (17, 237)
_CODEC = 3  # grey levels that MJPG may be off
_DISTANCE = 0.25
_TOLD = 2.0  # the farthest place that the daemon believes, whatever it is told
PARK = 0.9
"""Where every joint but the gripper is in the pose `park`."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a daemon is started with, besides the usual.

    `velocity` and `acceleration` of every joint, and `turn_s`, the period of the policy's motion.
    `late`: `cam_low` is known to deliver its images late. `clock`: the wall clock and the time
    that goes on in suspend are what `rig.clock` says. `small_disk`: the flight recorder has a disk
    of its own.
    """

    velocity: float = 2.0
    acceleration: float = 20.0
    turn_s: float = 2.0
    late: bool = False
    clock: bool = False
    small_disk: bool = False

    @property
    def bounds(self) -> Bounds:
        """What commands and arm are judged by."""
        return Bounds(
            period_ns=10**9 // RATE_HZ,
            position=1.0,
            velocity=self.velocity,
            acceleration=self.acceleration,
            ttl_ns=100 * 10**6,
            state_ns=STATE_MS * 10**6,
            fault_after_ns=FAULT_AFTER_MS * 10**6,
            follow_ns=FOLLOW_MS * 10**6,
            follow_distance=_DISTANCE,
            compared=COMPARED,
            servo_gain=Servo().gain,
        )


BOUNDS = Setup().bounds


def hull(life: Life) -> tuple[Vector, Vector]:
    """Smallest and largest that policy, pose and leader may have given, each (joints,)."""
    places = np.array([sample.position for sample in life.arm] or [(0.0,) * len(JOINTS)])
    low, high = places.min(axis=0), places.max(axis=0)
    if not all(sample.known for sample in life.arm):
        low, high = np.minimum(low, -_TOLD), np.maximum(high, _TOLD)
    low, high = reach((_LEVELS[0] - _CODEC, _LEVELS[1] + _CODEC), (low, high))
    if any(received.action.mode is Mode.MOVING for received in life.log):
        low, high = np.minimum(low, PARK), np.maximum(high, PARK)
    if any(received.action.mode is Mode.TAKEOVER for received in life.log):
        places = np.array([led.place for led in life.led])
        low, high = np.minimum(low, places.min(axis=0)), np.maximum(high, places.max(axis=0))
    return low, high


def _film(folder: Path, turn_s: float) -> Path:
    """`cam_high` goes from dark to bright and back: that is the motion."""
    frames = round(turn_s * _FPS)
    middle, reach_ = sum(_LEVELS) / 2, (_LEVELS[1] - _LEVELS[0]) / 2
    levels = middle + reach_ * np.sin(2 * np.pi * np.arange(frames) / frames)
    images = (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in levels)
    return write_video(folder / "cam_high.avi", images, _FPS)


def write_config(
    folder: Path, engine: Path, setup: Setup, *, ports: Ports, flights: Path, webcam: str
) -> Path:
    """Write and return actd.yaml. `webcam` is where `cam_low` is."""
    bounds = setup.bounds
    size = f"width: {WIDTH}, height: {HEIGHT}"
    video = _film(folder, setup.turn_s)
    more = f", timeout_s: 3, detect_freeze: true, latency_ms: {LATE_MS * setup.late}"
    limits = (
        f"position: [{-bounds.position}, {bounds.position}], velocity: {bounds.velocity}, "
        f"acceleration: {bounds.acceleration}"
    )
    kinds = {GRIPPER: ", kind: gripper"}
    lines = [
        f"engine: {engine}",
        "robot:",
        f"  name: {ROBOT}",
        f"  start_distance: {_DISTANCE}",
        "  joints:",
        *(f"    {name}: {{{limits}{kinds.get(name, '')}}}" for name in JOINTS),
        "cameras:",
        f"  cam_high: {{index_or_path: '{video}', {size}, fps: {_FPS}}}",
        f"  cam_low: {{index_or_path: '{webcam}', {size}{more}}}",
        f"control: {{rate_hz: {RATE_HZ}, policy_hz: 50, ease_in_ms: 300, "
        f"follow_after_ms: {FOLLOW_MS}}}",
        f"staleness: {{state_ms: {STATE_MS}, camera_ms: {CAMERA_MS + setup.late * LATE_MS}, "
        f"chunk_ms: {CHUNK_MS}, controller_ms: {CONTROLLER_MS}, frozen_ms: {FROZEN_MS}, "
        f"fault_after_ms: {FAULT_AFTER_MS}}}",
        "poses:",
        "  park:",
        *(f"    {name}: {PARK}" for name in JOINTS if name != GRIPPER),
        f"flight: {{folder: '{flights}', max_mb: {FLIGHT_MB}}}",
        link_section(ports, ttl_ms=bounds.ttl_ns / 1e6),
    ]
    path = folder / "actd.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def is_free(port: int) -> bool:
    """Whether nothing listens on it."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0
