"""From a deployment and a policy to what each process is told, as plain JSON data.

The tick process reads its settings here without importing the configuration's library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from actd.control.controller import ControlSettings
from actd.control.guard import Limits
from actd.control.plan import PlanSettings, describe
from actd.control.staleness import MaxAge
from actd.link.sockets import Ports
from actd.runtime.cores import Asked, Share
from actd.runtime.realtime import Wish

if TYPE_CHECKING:
    from actd.config import Config
    from actd.policy.spec import PolicySpec

Role = Literal["inference", "cameras", "recorder", "supervisor"]
ROLES: tuple[Role, ...] = ("inference", "cameras", "recorder", "supervisor")

ACT_COEFF = 0.01
"""The ensembling coefficient of the original ACT, for a policy that was given none."""


@dataclass(frozen=True, slots=True)
class TickSettings:
    """What the tick process needs besides its `ControlSettings`.

    Ticks are due at `rate_hz` exactly. `period_ns` is whole: the guard's step, which is off by
    less than a millionth where the rate does not divide a second.
    """

    rate_hz: float
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


def tick_job(config: Config, spec: PolicySpec, share: Share) -> dict[str, Any]:
    """`TickSettings(**...)` as JSON data."""
    link = config.link
    return {
        "rate_hz": config.control.rate_hz,
        "period_ns": round(1e9 / config.control.rate_hz),
        "ttl_ns": round(link.ttl_ms * 1e6),
        "joints": list(config.robot.joints),
        "state_names": config.robot.state_names,
        "env_dim": dims(spec, "ENV"),
        "realtime": config.process.realtime,
        "priority": config.process.tick.priority,
        "cores": list(share.tick),
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
    control, robot = config.control, config.robot
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
        "limits": _limits_job(config),
        "start_distance": [joint.start_distance or robot.start_distance for joint in joints],
        "max_age": _max_age(config),
        "ease_in_ns": round(control.ease_in_ms * 1e6),
        "actuation_latency_ns": round(control.actuation_latency_ms * 1e6),
    }


def inference_job(config: Config, threads: int) -> dict[str, Any]:
    """What the inference process is told, besides its rings."""
    observation = config.observation
    return {
        "engine": str(config.engine),
        "threads": threads,
        "joints": list(config.robot.joints),
        "rules": {
            "max_age": _max_age(config),
            "max_skew_ns": round(observation.max_skew_ms * 1e6),
            "max_delay_ns": round(observation.max_delay_ms * 1e6),
            "refuse": observation.on_skew == "refuse",
            "interval_ns": round(1e9 / config.control.rate_hz),
        },
    }


def _max_age(config: Config) -> dict[str, int]:
    """The staleness table: one for the tick and for inference."""
    stale = config.staleness
    return {
        "state_ns": round(stale.state_ms * 1e6),
        "camera_ns": round(stale.camera_ms * 1e6),
        "plan_ns": round(stale.plan_ms * 1e6),
        "controller_ns": round(stale.controller_ms * 1e6),
        "frozen_ns": round(stale.frozen_ms * 1e6),
        "fault_after_ns": round(stale.fault_after_ms * 1e6),
    }


def plan_mode(config: Config, spec: PolicySpec) -> str:
    """The chunk mode: the file's, else as the checkpoint was configured.

    A coefficient in the file asks for the ensemble that it is for.
    """
    control = config.control
    if control.mode is not None:
        return control.mode
    coeffs = (control.temporal_coeff, spec.temporal_ensemble_coeff)
    return "queue" if coeffs == (None, None) else "temporal"


def asked_cores(config: Config) -> Asked:
    """What the deployment says about cores and threads."""
    process = config.process
    named = {role: getattr(process, role).cores for role in ("tick", *ROLES)}
    cores = {role: tuple(found) for role, found in named.items() if found is not None}
    return Asked(**cores, threads=process.inference.threads)


def placement(config: Config, share: Share, role: Role) -> dict[str, Any]:
    """What `actd.runtime.child` takes as "placement": where a process runs, and how nicely."""
    return {
        "cores": list(getattr(share, role)),
        "nice": getattr(config.process, role).nice,
    }


def plan_words(config: Config, spec: PolicySpec) -> str:
    """How chunks are read, in a sentence."""
    return describe(control_settings(control_job(config, spec)).plan)


def dims(spec: PolicySpec, kind: str) -> int:
    """Numbers in all inputs of one kind, 0 without any."""
    return sum(feature.shape[0] for feature in spec.vectors if feature.kind == kind)


def joint_limits(config: Config) -> Limits:
    """What the guard keeps to, for whoever needs no policy."""
    return _limits(_limits_job(config))


def _limits_job(config: Config) -> dict[str, list[Any]]:
    joints = config.robot.joints.values()
    return {
        "lower": [joint.position[0] for joint in joints],
        "upper": [joint.position[1] for joint in joints],
        "velocity": [joint.velocity for joint in joints],
        "acceleration": [joint.acceleration for joint in joints],
        # JSON has no infinity.
        "jerk": [joint.jerk or "inf" for joint in joints],
    }


def _limits(job: Mapping[str, Any]) -> Limits:
    return Limits(**{f.name: np.array(job[f.name], dtype=np.float64) for f in fields(Limits)})


def control_settings(job: Mapping[str, Any]) -> ControlSettings:
    """The inverse of `control_job`."""
    plan = job["plan"]
    return ControlSettings(
        joints=tuple(job["joints"]),
        period_ns=job["period_ns"],
        plan=PlanSettings(**{**plan, "interpolation": tuple(plan["interpolation"])}),
        limits=_limits(job["limits"]),
        start_distance=np.array(job["start_distance"], dtype=np.float64),
        max_age=MaxAge(**job["max_age"]),
        ease_in_ns=job["ease_in_ns"],
        actuation_latency_ns=job["actuation_latency_ns"],
    )
