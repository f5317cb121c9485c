"""The lines of an actd.yaml. Pure. Raises UsageError where no file can fit the policy."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from actd.camera_setup import CameraMatch, camera_lines, served_camera_lines
from actd.config import JointConfig
from actd.config.writing import plain
from actd.demonstrations import LASTING_S, PERCENTILE, Motion
from actd.element_names import unsupported_actions
from actd.errors import UsageError
from actd.policy.spec import PolicySpec
from actd.redaction import redact
from actd.replay.limits import MARGIN, POSITION_MARGIN
from actd.scaffold.deployment import Deployment
from actd.scaffold.joints import ERROR_MARGIN, still_joints

CHECK = "# check:"
"""Begins the remark behind a value that is a guess."""


def deployment_lines(
    spec: PolicySpec,
    motion: Motion | None,
    deployment: Deployment,
    matches: Sequence[CameraMatch] | None,
    *,
    source: str,
    engine: str,
) -> Iterator[str]:
    """The file for a policy of `source`; `engine` as the file should name it.

    matches: which source is which camera; None: their images come from `actd drive`.
    """
    body = [
        *_robot_lines(spec, motion, deployment),
        *_pose_lines(motion, deployment),
        *_camera_lines(spec, matches),
        *_control_lines(spec, deployment),
        *_other_lines(),
    ]
    yield f"# Written by `actd init` for {redact(source)}. Every key: `actd config schema`."
    if any(CHECK in line for line in body):
        yield "# Lines marked `check:` are guesses."
    yield ""
    yield "# An engine folder, written by `actd export`; relative to this file."
    yield f"engine: {plain(engine)}"
    yield ""
    yield from body


def _robot_lines(spec: PolicySpec, motion: Motion | None, deployment: Deployment) -> Iterator[str]:
    units = deployment.units
    yield "robot:"
    if (preset := deployment.preset) is not None:
        for text in (f"{preset.title}. Driver: {preset.driver}.", *preset.traps):
            yield from _comment(text, "  ")
    yield "  # In every message, so that a command for this robot reaches no other."
    yield f"  name: {_robot_name(deployment.robot or 'robot')}"
    mark = "#" if units.certain else CHECK
    yield f"  units: {units.text(preset)}  {mark} {units.evidence}"
    yield "  # The action vector, in the dataset's order. Limits in unit, unit/s, unit/s^2. Lower"
    yield "  # velocities make the whole arm slower on the same path, which is how to begin."
    yield from _limit_lines(motion, deployment)
    if deployment.renamed:
        pairs = ", ".join(f"{trained} is {name}" for trained, name in deployment.renamed)
        yield from _comment(f"{CHECK.removeprefix('# ')} by their places, {pairs}", "  ")
    yield "  joints:"
    known = motion is not None or deployment.preset is None
    still = still_joints(spec, deployment.kinds) if known else frozenset[int]()
    for j, (name, joint) in enumerate(deployment.joints.items()):
        remark = "  # never moved in training" if j in still else ""
        yield f"    {plain(name)}: {_inline(joint)}{remark}"
    yield from _state_lines(spec, list(deployment.joints))


def _limit_lines(motion: Motion | None, deployment: Deployment) -> Iterator[str]:
    """Where the limits come from."""
    if motion is None:
        yield f"  {CHECK} names as your robot knows them, kinds (gripper, continuous, velocity),"
        yield "  # and every limit."
        return
    yield from _comment(
        f"Limits from {motion.rows} rows of {motion.episodes} episodes of "
        f"{redact(motion.source)}: their range and {POSITION_MARGIN:.0%} of it on either side, "
        f"{MARGIN:g} times the {PERCENTILE:g}th percentile of speed and acceleration (as commanded "
        f"at {deployment.playback.rate_hz:g} Hz). follow_distance and start_distance where the arm "
        f"was farther from its commands than the usual 8 %: {ERROR_MARGIN:g} times what lasted "
        f"{LASTING_S:g} s, and what it was at the start.",
        "  ",
    )
    jerk = _values(list(deployment.joints), motion.jerk)
    yield from _comment(f"Jerk there, which nothing limits: {jerk}", "  ")


def _pose_lines(motion: Motion | None, deployment: Deployment) -> Iterator[str]:
    """Where the demonstrations begin, from where the policy knows its way."""
    if motion is None:
        return
    yield ""
    yield "# Where the demonstrations begin: `actd arm --from-here` moves there and arms."
    yield "# `actd pose save park` writes down where `actd park` is to move."
    yield "poses:"
    yield "  start:"
    for (name, joint), value in zip(deployment.joints.items(), motion.start, strict=True):
        if joint.kind != "velocity":
            yield f"    {plain(name)}: {value:.4g}"


def _values(names: Sequence[str], values: Sequence[float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))


def _comment(text: str, indent: str) -> Iterator[str]:
    yield from (f"{indent}# {line}" for line in wrap(text, 96 - len(indent)))


def _camera_lines(spec: PolicySpec, matches: Sequence[CameraMatch] | None) -> Iterator[str]:
    yield ""
    yield "# The policy's cameras, in LeRobot's syntax. Frames must have the trained size."
    if matches is None:
        yield "# The robot's own: `actd drive --cameras=robot` opens and serves them."
    yield "cameras:" + ("" if spec.cameras else " {}")
    sizes = {feature.camera: feature.boundary_shape for feature in spec.cameras}
    yield from served_camera_lines(sizes) if matches is None else camera_lines(sizes, matches)


def _control_lines(spec: PolicySpec, deployment: Deployment) -> Iterator[str]:
    playback, coeff = deployment.playback, spec.temporal_ensemble_coeff
    how = "# the fps of the training dataset" if spec.trained_hz else f"{CHECK} the dataset's fps"
    yield ""
    yield "control:"
    yield f"  rate_hz: {playback.rate_hz:g}           # control ticks per second"
    yield f"  policy_hz: {deployment.policy_hz:g}         {how}"
    if playback.interpolation != "linear":
        yield f"  interpolation: {playback.interpolation}  # between rows"
    if coeff is None:
        yield "  mode: queue           # as trained; or temporal (ensemble: smoother), latest"
        yield f"  n_action_steps: {spec.n_action_steps}   # of the chunk's {spec.chunk_size} rows"
    else:
        yield "  mode: temporal        # as trained; or queue, latest (cross-fade)"
        yield f"  temporal_coeff: {coeff:g}  # > 0 favours the oldest prediction"


def _other_lines() -> Iterator[str]:
    yield ""
    yield "observation:"
    yield "  # How old an image was when a row of the dataset was recorded beside it: the camera's"
    yield "  # latency plus half a frame, say 40 + 17 ms, with latency_ms of each camera as it is"
    yield "  # here. With the cameras of the recording, 0 in both is right."
    yield "  image_age_ms: 0"
    yield ""
    yield "staleness:"
    yield "  state_ms: 200         # no robot state for this long: hold"
    yield "  camera_ms: 300        # a camera older than this: hold"
    yield "  fault_after_ms: 2000  # holding for this long: FAULT, until an operator resets"
    yield ""
    yield "dashboard:"
    yield "  enabled: true         # http://127.0.0.1:9875 while the daemon runs"
    yield ""
    yield "process:"
    yield "  realtime: prefer      # require: do not start without SCHED_FIFO and locked memory"


def _robot_name(robot: str) -> str:
    """A name that tells this computer's robot from others."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{robot}-{platform.node()}")[:64]


def _inline(joint: JointConfig) -> str:
    given = joint.model_dump(exclude_none=True, exclude_defaults=True)
    return "{" + ", ".join(f"{key}: {_inline_value(value)}" for key, value in given.items()) + "}"


def _inline_value(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{number:.10g}" for number in value) + "]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _state_lines(spec: PolicySpec, joints: Sequence[str]) -> Iterator[str]:
    """The names of observation.state, where they are not those of the joints. Raises UsageError."""
    features = [f for f in spec.vectors if f.kind == "STATE"]
    count = sum(f.shape[0] for f in features)
    known = [name for f in features for name in spec.names.get(f.key, ())]
    if count == len(joints) and set(known) != set(joints):
        return  # one for each joint, whatever the dataset calls them
    if not features or known == list(joints):
        return
    states = known or [*joints, *(f"state_{index}" for index in range(len(joints), count))]
    missing = [name for name in joints if name not in states]
    if missing or len(states) != count:
        raise UsageError(_unmeasured(missing or joints[count:], known, count))
    held = f"observation.state has {count} values"
    yield f"  # {held}:" if known else f"  {CHECK} {held}; name them in order"
    yield "  state:"
    for name in states:
        yield f"    - {plain(name)}"


def _unmeasured(missing: Sequence[str], known: Sequence[str], count: int) -> str:
    if words := unsupported_actions(missing):
        return f"action: {words}: no file can fit this policy"
    held = f"{count} values" + (f" ({', '.join(known)})" if known else "")
    remedy = (
        "write the file yourself, and under `state` give what is measured of each its name"
        if known
        else "no file can fit this policy"
    )
    return (
        f"observation.state: {held} without {', '.join(missing)}: actd commands only what the "
        f"robot also measures; {remedy}"
    )
