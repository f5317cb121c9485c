"""From a deployment and a policy to what each process is told, as plain JSON data.

The tick process reads its settings here without importing the configuration's library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from actd.arrays import Vector
from actd.control.chunks import ACT_COEFF, ChunkSettings, describe
from actd.control.controller import ControlSettings
from actd.control.limits import Limits
from actd.control.staleness import MaxAge
from actd.link.sockets import Ports
from actd.runtime.cores import Asked, Share
from actd.runtime.realtime import Wish

if TYPE_CHECKING:
    from actd.config import Config
    from actd.policy.spec import PolicySpec

Role = Literal["inference", "cameras", "recorder", "supervisor"]
ROLES: tuple[Role, ...] = ("inference", "cameras", "recorder", "supervisor")

_ENDLESS = 1e9  # where a continuous joint has its ends
_VECTORS = ("turn", "start_distance", "follow_distance", "trained_low", "trained_high")


@dataclass(frozen=True, slots=True)
class TickSettings:
    """What the tick process needs besides its `ControlSettings`.

    `robot` is its name, `boot` this run of the daemon. Ticks are due at `rate_hz` exactly.
    `period_ns` is whole: the limiter's step, which is off by less than a millionth where the rate
    does not divide a second.
    """

    robot: str
    boot: str
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


def tick_job(config: Config, spec: PolicySpec, share: Share, boot: str) -> dict[str, Any]:
    """`TickSettings(**...)` as JSON data."""
    return _tick_job(config, dims(spec, "ENV"), share, boot)


def _tick_job(config: Config, env_dim: int, share: Share, boot: str) -> dict[str, Any]:
    link = config.link
    return {
        "robot": config.robot.name,
        "boot": boot,
        "rate_hz": config.control.rate_hz,
        "period_ns": round(1e9 / config.control.rate_hz),
        "ttl_ns": round(link.ttl_ms * 1e6),
        "joints": list(config.robot.joints),
        "state_names": config.robot.state_names,
        "env_dim": env_dim,
        "realtime": config.process.realtime,
        "priority": config.process.tick.priority,
        "cores": list(share.tick),
        "host": link.host,
        "port_numbers": [
            link.state_port,
            link.actions_port,
            link.status_port,
            link.control_port,
        ],
    }


def control_job(config: Config, spec: PolicySpec) -> dict[str, Any]:
    """What `control_settings` reads, as JSON data. The policy fills in what the file leaves out."""
    control, joints = config.control, config.joints
    coeff = control.temporal_coeff
    if coeff is None:
        coeff = spec.temporal_ensemble_coeff
    low, high = trained_range(config, spec)
    return _arm_job(config) | {
        "chunk": {
            "mode": chunk_mode(config, spec),
            "policy_hz": config.policy_hz(spec.trained_hz),
            "chunk_size": spec.chunk_size,
            "action_dim": spec.action_dim,
            "n_action_steps": control.n_action_steps or spec.n_action_steps,
            "temporal_coeff": ACT_COEFF if coeff is None else coeff,
            "crossfade_ns": round(control.crossfade_ms * 1e6),
            "interpolation": [joint.interpolation for joint in joints],
            "latency_ns": [round(joint.actuation_latency_ms * 1e6) for joint in joints],
        },
        # JSON has no infinity.
        "trained_low": ["-inf" if value is None else value for value in low],
        "trained_high": ["inf" if value is None else value for value in high],
        "max_age": _max_age(config),
        "ease_in_ns": round(control.ease_in_ms * 1e6),
    }


def step_job(config: Config, share: Share, boot: str, rows: int, rows_hz: float) -> dict[str, Any]:
    """The tick process's "tick" and "control" without a policy: for one chunk of `rows` steps,
    `rows_hz` per second, each held until the next. Only limits round them off.
    """
    count = len(config.joints)
    return {
        "tick": _tick_job(config, 0, share, boot),
        "control": _arm_job(config)
        | {
            "chunk": {
                "mode": "queue",
                "policy_hz": rows_hz,
                "chunk_size": rows,
                "action_dim": count,
                "n_action_steps": rows,
                "interpolation": ["hold"] * count,
                "max_chunks": 1,
            },
            "trained_low": ["-inf"] * count,
            "trained_high": ["inf"] * count,
            # The chunk says itself for how long it is.
            "max_age": _max_age(config) | {"chunk_ns": 0},
            "ease_in_ns": 0,
        },
    }


def _arm_job(config: Config) -> dict[str, Any]:
    """The part of `control_job` that no policy has a say in."""
    joints = config.joints
    return {
        "joints": [joint.name for joint in joints],
        "kinds": [joint.kind for joint in joints],
        "period_ns": round(1e9 / config.control.rate_hz),
        "ttl_ns": round(config.link.ttl_ms * 1e6),
        "limits": _limits_job(config),
        "turn": [joint.turn or 0.0 for joint in joints],
        "start_distance": [joint.start_distance for joint in joints],
        "follow_distance": [joint.follow_distance or "inf" for joint in joints],
        "follow_ns": round(config.control.follow_after_ms * 1e6),
    }


def trained_range(
    config: Config, spec: PolicySpec
) -> tuple[list[float | None], list[float | None]]:
    """Smallest and largest measured value of each joint in training, None where not known."""
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    names = iter(config.robot.state_names)
    for feature in spec.vectors:
        if feature.kind == "STATE":
            found = spec.statistics.get(feature.key, {})
            for index, name in zip(range(feature.shape[0]), names, strict=False):
                if found.get("min") and found.get("max"):
                    low[name], high[name] = found["min"][index], found["max"][index]
    joints = config.robot.joints
    return [low.get(name) for name in joints], [high.get(name) for name in joints]


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
            "image_age_ns": round(observation.image_age_ms * 1e6),
            "interval_ns": round(1e9 / config.control.rate_hz),
        },
    }


def _max_age(config: Config) -> dict[str, int]:
    """The staleness table: one for the tick and for inference."""
    stale = config.staleness
    return {
        "state_ns": round(stale.state_ms * 1e6),
        "camera_ns": round(stale.camera_ms * 1e6),
        "chunk_ns": round((stale.chunk_ms or 0) * 1e6),
        "controller_ns": round(config.controller_ms * 1e6),
        "frozen_ns": round(stale.frozen_ms * 1e6),
        "fault_after_ns": round(stale.fault_after_ms * 1e6),
    }


def chunk_mode(config: Config, spec: PolicySpec) -> str:
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
    """The "placement" of a process: its cores and its niceness."""
    return {
        "cores": list(getattr(share, role)),
        "nice": getattr(config.process, role).nice,
    }


def chunk_words(config: Config, spec: PolicySpec) -> str:
    """How chunks are read, in a sentence."""
    return describe(control_settings(control_job(config, spec)).chunk)


def dims(spec: PolicySpec, kind: str) -> int:
    """Numbers in all inputs of one kind, 0 without any."""
    return sum(feature.shape[0] for feature in spec.vectors if feature.kind == kind)


def control_settings(job: Mapping[str, Any]) -> ControlSettings:
    """The inverse of `control_job`."""
    chunk: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in job["chunk"].items()
    }
    return ControlSettings(
        joints=tuple(job["joints"]),
        kinds=tuple(job["kinds"]),
        period_ns=job["period_ns"],
        ttl_ns=job["ttl_ns"],
        chunk=ChunkSettings(**chunk),
        limits=_limits(job["limits"]),
        max_age=MaxAge(**job["max_age"]),
        follow_ns=job["follow_ns"],
        ease_in_ns=job["ease_in_ns"],
        **{name: _vector(job[name]) for name in _VECTORS},
    )


def joint_limits(config: Config) -> Limits:
    """What the limiter keeps to, for whoever needs no policy."""
    return _limits(_limits_job(config))


def _limits_job(config: Config) -> dict[str, list[float]]:
    joints = config.joints
    return {
        "lower": [-_ENDLESS if joint.lower is None else joint.lower for joint in joints],
        "upper": [_ENDLESS if joint.upper is None else joint.upper for joint in joints],
        "velocity": [joint.velocity for joint in joints],
        "acceleration": [joint.acceleration for joint in joints],
    }


def _limits(job: Mapping[str, Any]) -> Limits:
    return Limits(**{f.name: _vector(job[f.name]) for f in fields(Limits)})


def _vector(values: list[Any]) -> Vector:
    return np.array(values, dtype=np.float64)
