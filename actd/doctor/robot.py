"""The robot as it can be heard: from the daemon that runs, or from its controller.

A daemon is only asked. Where none runs, its state port is free: listen there for a second, and
judge what comes with the daemon's own code. Raises LinkError.
"""

from __future__ import annotations

import time
from typing import Any

import zmq

from actd.client import Operator
from actd.config import Config
from actd.doctor.facts import Controller, Daemon
from actd.engine.manifest import Manifest
from actd.engine.observations import unlike_training
from actd.link import sockets
from actd.link.age import boottime_ns
from actd.link.request import as_sent
from actd.link.sockets import Ports
from actd.runtime import settings
from actd.runtime.channels import state_dtype
from actd.runtime.clock import now_ns
from actd.runtime.processes import shapes_of
from actd.runtime.robot_io import RobotIO
from actd.runtime.shm import Ring

LISTEN_S = 1.0

_ANSWER_S = 1.0
_LOOK_S = 0.01
_SLOTS = 256


def ask_daemon(host: str, ports: Ports) -> Daemon:
    """What the daemon at `ports` says of itself."""
    with Operator(host, ports, timeout_s=_ANSWER_S) as operator, as_sent():
        return _daemon(operator.status())


def listen(config: Config, manifest: Manifest) -> Controller:
    """What the robot's controller sends, as the daemon would judge it."""
    shapes = shapes_of(manifest)
    share = settings.share_cores(config)
    ring = Ring(state_dtype(shapes.state_dim, shapes.env_dim), _SLOTS)
    context: zmq.Context[Any] = zmq.Context()
    try:
        states = sockets.state_receiver(
            context, sockets.endpoint(config.link.host, config.link.state_port)
        )
        robot = RobotIO(
            states,
            context.socket(zmq.PUB),  # nothing is ever sent
            settings.tick_settings(config, shapes.env_dim, share, boot=""),
            settings.control_settings(config, manifest.spec),
            ring,
        )
        end_ns = now_ns() + round(LISTEN_S * 1e9)
        while now_ns() < end_ns:
            robot.read(now_ns(), boottime_ns())
            time.sleep(_LOOK_S)
    finally:
        context.destroy(linger=0)
    return Controller(
        seconds=LISTEN_S,
        messages=ring.newest + robot.rejected,
        rejected=robot.rejected,
        rejection=robot.rejection,
        unlike=_unlike(config, manifest, ring),
    )


def _unlike(config: Config, manifest: Manifest, ring: Ring) -> tuple[str, ...] | None:
    """Measured values that training never saw, a sentence each."""
    states = [feature for feature in manifest.spec.vectors if feature.kind == "STATE"]
    known = [feature for feature in states if manifest.spec.likely_range(feature.key) is not None]
    latest = ring.latest()
    if latest is None or not known:
        return None
    values = {feature.key: latest[1]["state"] for feature in states}
    values |= {f.key: latest[1]["env"] for f in manifest.spec.vectors if f.kind == "ENV"}
    names = {feature.key: config.robot.state_names for feature in states}
    return tuple(unlike_training(values, manifest.spec, names).values())


def _daemon(answer: dict[str, Any]) -> Daemon:
    control, inference = answer["control"], answer["inference"]
    refused = answer["state_rejected"]
    age_ms = answer["state_age_ms"]
    return Daemon(
        robot=str(answer["robot"]),
        mode=str(answer["mode"]),
        state_age_ms=None if age_ms is None else float(age_ms),
        rejected=int(refused["count"]),
        rejection=str(refused["newest"]),
        lateness_us={key: float(value) for key, value in control["lateness_us"].items()},
        period_ms=1e3 / float(control["target_hz"]),
        missed=int(control["missed"]),
        cameras={name: str(camera["state"]) for name, camera in answer["cameras"].items()},
        engine=str(inference["state"]),
        flight=str(answer["flight"]),
        granted={str(k): str(v) for k, v in answer["realtime"].items()},
    )
