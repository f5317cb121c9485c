"""From a deployment and a policy to what each process is told, as plain JSON data.

The tick process reads its settings here without importing the configuration's library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from actd.control.controller import ControlSettings
from actd.control.guard import Limits
from actd.control.plan import PlanSettings
from actd.control.staleness import MaxAge
from actd.link.sockets import Ports
from actd.runtime.realtime import Wish

if TYPE_CHECKING:
    from actd.config import Config
    from actd.policy.spec import PolicySpec

ACT_COEFF = 0.01
"""The ensembling coefficient of the original ACT, for a policy that was given none."""


@dataclass(frozen=True, slots=True)
class TickSettings:
    """What the tick process needs besides its `ControlSettings`."""

    period_ns: int
    ttl_ns: int
    joints: tuple[str, ...]
    state_names: tuple[str, ...]
    env_dim: int
    realtime: Wish
    priority: int
    cores: tuple[int, ...]
    host: str
    port_numbers: tuple[int, int, int, int]

    @property
    def ports(self) -> Ports:
        """The four ports of the link."""
        return Ports(*self.port_numbers)


def tick_job(config: Config, spec: PolicySpec, cores: list[int]) -> dict[str, Any]:
    """`TickSettings(**...)` as JSON data."""
    link = config.link
    return {
        "period_ns": round(1e9 / config.control.rate_hz),
        "ttl_ns": round(link.ttl_ms * 1e6),
        "joints": list(config.robot.joints),
        "state_names": config.robot.state_names,
        "env_dim": dims(spec, "ENV"),
        "realtime": config.process.realtime,
        "priority": config.process.tick_priority,
        "cores": cores,
        "host": link.host,
        "port_numbers": [
            link.state_port,
            link.actions_port,
            link.telemetry_port,
            link.control_port,
        ],
    }


def control_job(config: Config, spec: PolicySpec) -> dict[str, Any]:
    """What `control_settings` reads, as JSON data. The policy fills in what the file leaves out."""
    control, stale, robot = config.control, config.staleness, config.robot
    coeff = control.temporal_coeff
    if coeff is None:
        coeff = spec.temporal_ensemble_coeff
    joints = robot.joints.values()
    return {
        "joints": list(robot.joints),
        "period_ns": round(1e9 / control.rate_hz),
        "plan": {
            "mode": plan_mode(config, spec),
            "policy_hz": control.policy_hz or control.rate_hz,
            "chunk_size": spec.chunk_size,
            "action_dim": spec.action_dim,
            "n_action_steps": control.n_action_steps or spec.n_action_steps,
            "temporal_coeff": ACT_COEFF if coeff is None else coeff,
            "crossfade_ns": round(control.crossfade_ms * 1e6),
            "interpolation": [joint.interpolation or control.interpolation for joint in joints],
        },
        "limits": {
            "lower": [joint.position[0] for joint in joints],
            "upper": [joint.position[1] for joint in joints],
            "velocity": [joint.velocity for joint in joints],
            "acceleration": [joint.acceleration for joint in joints],
            # JSON has no infinity.
            "jerk": [joint.jerk or "inf" for joint in joints],
        },
        "start_distance": [joint.start_distance or robot.start_distance for joint in joints],
        "max_age": {
            "state_ns": round(stale.state_ms * 1e6),
            "camera_ns": round(stale.camera_ms * 1e6),
            "plan_ns": round(stale.plan_ms * 1e6),
            "controller_ns": round(stale.controller_ms * 1e6),
            "frozen_ns": round(stale.frozen_ms * 1e6),
            "fault_after_ns": round(stale.fault_after_ms * 1e6),
        },
        "ease_in_ns": round(control.ease_in_ms * 1e6),
        "actuation_latency_ns": round(control.actuation_latency_ms * 1e6),
    }


def inference_job(config: Config, threads: int) -> dict[str, Any]:
    """What the inference process is told, besides its rings."""
    process, stale = config.process, config.staleness
    return {
        "engine": str(config.engine),
        "threads": threads,
        "nice": process.inference_nice,
        "camera_max_age_ns": round(stale.camera_ms * 1e6),
        "state_max_age_ns": round(stale.state_ms * 1e6),
        "min_interval_ns": round(1e9 / config.control.rate_hz),
    }


def plan_mode(config: Config, spec: PolicySpec) -> str:
    """The chunk mode: the file's, else as the checkpoint was configured."""
    if config.control.mode is not None:
        return config.control.mode
    return "queue" if spec.temporal_ensemble_coeff is None else "temporal"


def share_cores(available: frozenset[int], inference_threads: int) -> tuple[list[int], list[int]]:
    """The cores of the tick, and those of every other process.

    Where inference leaves a core over, the last one is the tick's and the others keep off it.
    Where it wants them all, nobody is bound to any: only priority then decides.
    """
    cores = sorted(available)
    if inference_threads >= len(cores):
        return cores, cores
    return cores[-1:], cores[:-1]


def dims(spec: PolicySpec, kind: str) -> int:
    """Numbers in all inputs of one kind, 0 without any."""
    return sum(feature.shape[0] for feature in spec.vectors if feature.kind == kind)


def control_settings(job: Mapping[str, Any]) -> ControlSettings:
    """The inverse of `control_job`."""
    plan = job["plan"]
    limits = {f.name: np.array(job["limits"][f.name], dtype=np.float64) for f in fields(Limits)}
    return ControlSettings(
        joints=tuple(job["joints"]),
        period_ns=job["period_ns"],
        plan=PlanSettings(**{**plan, "interpolation": tuple(plan["interpolation"])}),
        limits=Limits(**limits),
        start_distance=np.array(job["start_distance"], dtype=np.float64),
        max_age=MaxAge(**job["max_age"]),
        ease_in_ns=job["ease_in_ns"],
        actuation_latency_ns=job["actuation_latency_ns"],
    )
