"""The deployment that faults are injected into: a robot, its limits, two cameras, free ports."""

from __future__ import annotations

import socket
from pathlib import Path

import cv2
import numpy as np

from actd.link.sockets import Ports
from tests.faults.arm import HOST
from tests.faults.engine import HEIGHT, JOINTS, WELL, WIDTH
from tests.faults.promise import Bounds

RATE_HZ = 50
STATE_MS = CAMERA_MS = CONTROLLER_MS = 400
FROZEN_MS, PLAN_MS, FAULT_AFTER_MS = 500, 600, 1000
FLIGHT_MB = 16
BOUNDS = Bounds(
    period_ns=10**9 // RATE_HZ,
    position=1.0,
    velocity=2.0,
    acceleration=20.0,
    fault_after_ns=FAULT_AFTER_MS * 10**6,
    ttl_ns=100 * 10**6,
)
_FRAMES, _FPS = 60, 30


def write_videos(folder: Path) -> None:
    """`cam_high` goes from dark to bright and back in two seconds: that is the motion."""
    turn = 2 * np.pi * np.arange(_FRAMES) / _FRAMES
    levels = {"cam_high": 127 + 110 * np.sin(turn), "cam_low": WELL + np.arange(_FRAMES) % 3}
    for name, values in levels.items():
        fourcc = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(folder / f"{name}.avi"), fourcc, _FPS, (WIDTH, HEIGHT))
        for value in values:
            writer.write(np.full((HEIGHT, WIDTH, 3), value, np.uint8))
        writer.release()


def write_config(
    folder: Path, engine: Path, ports: Ports, flights: Path, webcam: str | None
) -> Path:
    """Write and return actd.yaml. `webcam` is where `cam_low` is, if it is no video."""
    size = f"width: {WIDTH}, height: {HEIGHT}"
    high, low = (
        f"index_or_path: '{folder / name}.avi', {size}, fps: {_FPS}"
        for name in ("cam_high", "cam_low")
    )
    if webcam is not None:
        low = f"index_or_path: '{webcam}', {size}, timeout_s: 3, detect_freeze: true"
    limits = (
        f"{{position: [{-BOUNDS.position}, {BOUNDS.position}], velocity: {BOUNDS.velocity}, "
        f"acceleration: {BOUNDS.acceleration}}}"
    )
    lines = [
        f"engine: {engine}",
        "robot:",
        "  start_distance: 2.0",
        "  joints:",
        *(f"    {name}: {limits}" for name in JOINTS),
        f"cameras: {{cam_high: {{{high}}}, cam_low: {{{low}}}}}",
        f"control: {{rate_hz: {RATE_HZ}, ease_in_ms: 300}}",
        f"staleness: {{state_ms: {STATE_MS}, camera_ms: {CAMERA_MS}, plan_ms: {PLAN_MS}, "
        f"controller_ms: {CONTROLLER_MS}, frozen_ms: {FROZEN_MS}, "
        f"fault_after_ms: {FAULT_AFTER_MS}}}",
        "observation: {max_skew_ms: 100}",
        f"flight: {{folder: '{flights}', max_mb: {FLIGHT_MB}}}",
        f"link: {{ttl_ms: {BOUNDS.ttl_ns / 1e6:g}, state_port: {ports.state}, "
        f"actions_port: {ports.actions}, telemetry_port: {ports.telemetry}, "
        f"control_port: {ports.control}}}",
    ]
    path = folder / "actd.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def free_ports() -> Ports:
    """Four ports that nothing listens on."""
    probes = [socket.socket() for _ in range(4)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return Ports(*(probe.getsockname()[1] for probe in probes))
    finally:
        for probe in probes:
            probe.close()


def is_free(port: int) -> bool:
    """Whether nothing listens on it."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0
