"""From a deployment and a policy to what the daemon's processes decide and observe with.

The tick process has its settings' types from here without importing the configuration's library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from actd.arrays import Vector
from actd.control.chunks import DEFAULT_COEFF, ChunkMode, ChunkSettings, describe
from actd.control.interpolation import Interpolation
from actd.control.limits import Limits
from actd.control.settings import ControlSettings
from actd.control.staleness import MaxAge
from actd.link.sockets import Ports
from actd.runtime.cores import CoreChoice, Placement, Share, share
from actd.runtime.observation import Rules
from actd.runtime.realtime import Wish, fifo_can_be_had

if TYPE_CHECKING:
    from actd.config import Config
    from actd.policy.spec import PolicySpec

Role = Literal["inference", "cameras", "recorder", "supervisor"]
ROLES: tuple[Role, ...] = ("inference", "cameras", "recorder", "supervisor")

_ENDLESS = 1e9  # where a continuous joint has its ends


@dataclass(frozen=True, slots=True)
class TickSettings:
    """What the tick process needs besides its `ControlSettings`.

    `robot` is its name, `boot` this run of the daemon. Ticks are due at `rate_hz` exactly; the
    limiter's step is a whole `ControlSettings.period_ns`, which is off by less than a millionth
    where the rate does not divide a second.
    """

    robot: str
    boot: str
    rate_hz: float
    state_names: tuple[str, ...]
    env_dim: int
    realtime: Wish
    priority: int
    cores: tuple[int, ...]
    host: str
    ports: Ports


def tick_settings(config: Config, env_dim: int, share: Share, boot: str) -> TickSettings:
    """`env_dim`: numbers in the policy's environment state, 0 without."""
    return TickSettings(
        robot=config.robot.name,
        boot=boot,
        rate_hz=config.control.rate_hz,
        state_names=tuple(config.robot.state_names),
        env_dim=env_dim,
        realtime=config.process.realtime,
        priority=config.process.tick.priority,
        cores=share.tick,
        host=config.link.host,
        ports=config.link.ports,
    )


def control_settings(config: Config, spec: PolicySpec) -> ControlSettings:
    """What the tick decides with. The policy fills in what the file leaves out."""
    control = config.control
    coeff = control.temporal_coeff
    if coeff is None:
        coeff = spec.temporal_ensemble_coeff
    settings = control_without_policy(config, spec.chunk_size, config.policy_hz(spec.trained_hz))
    chunk = replace(
        settings.chunk,
        mode=chunk_mode(config, spec),
        n_action_steps=control.n_action_steps or spec.n_action_steps,
        temporal_coeff=DEFAULT_COEFF if coeff is None else coeff,
        crossfade_ns=round(control.crossfade_ms * 1e6),
        latency_ns=tuple(round(joint.actuation_latency_ms * 1e6) for joint in config.joints),
    )
    low, high = trained_range(config, spec)
    return replace(
        settings,
        chunk=chunk,
        trained_low=np.array(low),
        trained_high=np.array(high),
        ease_in_ns=round(control.ease_in_ms * 1e6),
    )


def step_settings(config: Config, rows: int, rows_hz: float) -> ControlSettings:
    """What the tick decides with for one chunk of `rows` steps without a policy, `rows_hz` per
    second, each held until the next. Only limits round them off.
    """
    settings = control_without_policy(config, rows, rows_hz)
    held: Interpolation = "hold"
    return replace(
        settings,
        chunk=replace(settings.chunk, interpolation=(held,) * len(config.joints), max_chunks=1),
        # The chunk says itself for how long it is.
        max_age=replace(settings.max_age, chunk_ns=0),
    )


def control_without_policy(config: Config, rows: int, rows_hz: float) -> ControlSettings:
    """What only the deployment says, for chunks of `rows`, `rows_hz` per second."""
    joints = config.joints
    unknown = np.full(len(joints), np.inf)
    return ControlSettings(
        joints=tuple(joint.name for joint in joints),
        kinds=tuple(joint.kind for joint in joints),
        period_ns=round(1e9 / config.control.rate_hz),
        ttl_ns=round(config.link.ttl_ms * 1e6),
        chunk=ChunkSettings(
            mode="queue",
            policy_hz=rows_hz,
            chunk_size=rows,
            action_dim=len(joints),
            n_action_steps=rows,
            interpolation=tuple(joint.interpolation for joint in joints),
        ),
        limits=Limits(
            lower=np.array([-_ENDLESS if joint.lower is None else joint.lower for joint in joints]),
            upper=np.array([_ENDLESS if joint.upper is None else joint.upper for joint in joints]),
            velocity=np.array([joint.velocity for joint in joints]),
            acceleration=np.array([joint.acceleration for joint in joints]),
        ),
        turn=np.array([joint.turn or 0.0 for joint in joints]),
        start_distance=np.array([joint.start_distance for joint in joints]),
        follow_distance=np.array([joint.follow_distance or np.inf for joint in joints]),
        follow_ns=round(config.control.follow_after_ms * 1e6),
        trained_low=-unknown,
        trained_high=unknown,
        start=_pose(config, config.poses.start),
        park=_pose(config, config.poses.park),
        max_age=_max_age(config),
        ease_in_ns=0,
    )


def _pose(config: Config, pose: Mapping[str, float] | None) -> Vector | None:
    """Of every joint; NaN for one that stays where it is."""
    if pose is None:
        return None
    return np.array([pose.get(joint, np.nan) for joint in config.robot.joints])


def trained_range(config: Config, spec: PolicySpec) -> tuple[list[float], list[float]]:
    """Smallest and largest measured value of each joint in training, infinite where not known."""
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    names = iter(config.robot.state_names)
    for feature in spec.vectors:
        if feature.kind == "STATE":
            ranges = spec.likely_range(feature.key)
            for index, name in zip(range(feature.shape[0]), names, strict=False):
                if ranges is not None:
                    low[name], high[name] = ranges[0][index], ranges[1][index]
    joints = config.robot.joints
    return [low.get(name, -np.inf) for name in joints], [high.get(name, np.inf) for name in joints]


def observation_rules(config: Config) -> Rules:
    """What an observation must keep."""
    observation = config.observation
    return Rules(
        max_age=_max_age(config),
        max_skew_ns=round(observation.max_skew_ms * 1e6),
        max_delay_ns=round(observation.max_delay_ms * 1e6),
        refuse=observation.on_skew == "refuse",
        image_age_ns=round(observation.image_age_ms * 1e6),
        interval_ns=round(1e9 / config.control.rate_hz),
    )


def _max_age(config: Config) -> MaxAge:
    """The staleness table: one for the tick and for inference."""
    stale = config.staleness
    return MaxAge(
        state_ns=round(stale.state_ms * 1e6),
        camera_ns=round(stale.camera_ms * 1e6),
        chunk_ns=round((stale.chunk_ms or 0) * 1e6),
        controller_ns=round(config.controller_ms * 1e6),
        frozen_ns=round(stale.frozen_ms * 1e6),
        fault_after_ns=round(stale.fault_after_ms * 1e6),
    )


def chunk_mode(config: Config, spec: PolicySpec) -> ChunkMode:
    """The chunk mode: the file's, else as the checkpoint was configured.

    A coefficient in the file asks for the ensemble that it is for.
    """
    control = config.control
    if control.mode is not None:
        return control.mode
    coeffs = (control.temporal_coeff, spec.temporal_ensemble_coeff)
    return "queue" if coeffs == (None, None) else "temporal"


def share_cores(config: Config) -> Share:
    """Divide the cores that this process may use, as the deployment says."""
    process = config.process
    named = {role: getattr(process, role).cores for role in ("tick", *ROLES)}
    cores = {role: tuple(numbers) for role, numbers in named.items() if numbers is not None}
    choice = CoreChoice(**cores, threads=process.inference.threads)
    fifo = fifo_can_be_had(process.realtime, process.tick.priority)
    return share(os.sched_getaffinity(0), choice, fifo=fifo)


def placement(config: Config, shared: Share, role: Role) -> Placement:
    """Where a process of this role runs."""
    return Placement(getattr(shared, role), getattr(config.process, role).nice)


def chunk_words(config: Config, spec: PolicySpec) -> str:
    """How chunks are read, in a sentence."""
    return describe(control_settings(config, spec).chunk)


def dims(spec: PolicySpec, kind: str) -> int:
    """Numbers in all inputs of one kind, 0 without any."""
    return sum(feature.shape[0] for feature in spec.vectors if feature.kind == kind)
