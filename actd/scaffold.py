"""Writes a commented actd.yaml from what a checkpoint (or an engine) says of itself.

What no checkpoint knows (speed limits, camera devices), and what this one does not (names, the
dataset's rate), is filled in with a careful guess and marked `check:`, so that nothing is
missing and nothing is taken on trust. Raises ActdError; never replaces a file unless told to.
"""

from __future__ import annotations

import math
import os
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from actd.camera_setup import CameraMatch, camera_lines, connected_matches
from actd.config import Config, JointConfig, fit_warnings, kind_named, load
from actd.config.fit import MOST_RAD, largest_place
from actd.config.writing import plain
from actd.control.limits import Kind
from actd.element_names import relative_actions
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ActdError, ConfigError, UsageError
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec
from actd.resources import resource_dir

_GUESSED_POLICY_HZ = 30
_LEAST_RATE_HZ = 50.0
# Shipped robots, and how LeRobot's names of them begin.
_ROBOTS = {"aloha": ("aloha",), "so101": ("so100", "so101")}
# A joint that the demonstrations moved by less than this share of its place, or of the widest
# joint's range, was still; it is allowed this share of the widest joint's range.
_STILL_SHARE = 1e-3
_LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class _Policy:
    """What a checkpoint or an engine says of itself."""

    spec: PolicySpec
    robot_type: str | None
    warnings: tuple[str, ...]


def write_config(
    source: str | Path,
    out: Path,
    *,
    engine: Path | None,
    robot: str | None,
    force: bool,
    overrides: Overrides | None = None,
    match: Path | None = None,
) -> Iterator[str]:
    """Write `out` for the checkpoint or engine folder `source`; yields lines to show.

    `match`: the LeRobotDataset whose first images tell which camera is which.
    """
    if out.exists() and not force:
        raise UsageError(f"{out}: exists already: give --force to replace it, or another --out")
    folder = Path(source)
    is_engine = (folder / MANIFEST).is_file()
    policy = _from_engine(folder) if is_engine else _from_checkpoint(source, overrides)
    spec = policy.spec
    engine = engine or (folder if is_engine else Path("engines/ort-int8"))
    shipped = None if robot is None else _shipped(robot, spec)
    matches = connected_matches(match) if match else []
    text = "\n".join(_lines(spec, shipped, robot or "robot", source, engine, out, matches)) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # beside its place and read back first: a file that is replaced is lost to a good one only
        with tempfile.TemporaryDirectory(prefix=".actd-init-", dir=out.parent) as scratch:
            new = Path(scratch) / out.name
            new.write_text(text, encoding="utf-8")
            config = load(new)
            new.replace(out)
    except OSError as error:
        raise UsageError(
            f"{out}: cannot be written ({error.strerror}): choose another --out"
        ) from None
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(new), str(out))) from None
    yield f"{out}: written for {spec.action_dim} joints and {len(spec.cameras)} cameras"
    for warning in dict.fromkeys((*policy.warnings, *fit_warnings(config, spec))):
        yield f"warning: {warning}"
    if robot is None and (known := _robot_of(policy.robot_type)):
        yield f"note: recorded on a {policy.robot_type}: --robot {known} knows its limits"
    yield "edit the lines marked `check:`, then"
    yield f"next: actd config check {out}"


def _robot_of(robot_type: str | None) -> str | None:
    """The shipped robot that LeRobot's `robot_type` means."""
    name = (robot_type or "").lower()
    return next((robot for robot, starts in _ROBOTS.items() if name.startswith(starts)), None)


def _from_engine(folder: Path) -> _Policy:
    manifest = read_manifest(folder)
    return _Policy(manifest.spec, manifest.training.robot_type, manifest.warnings)


def _from_checkpoint(path: str | Path, overrides: Overrides | None) -> _Policy:
    try:
        from actd.policy.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path, overrides)
        return _Policy(checkpoint.spec, checkpoint.training.robot_type, checkpoint.warnings)
    except ImportError as error:
        raise ActdError(
            f"{path}: reading a checkpoint needs {error.name}: pip install 'actd[export]', "
            "or give an engine folder instead"
        ) from None


def _shipped(robot: str, spec: PolicySpec) -> Config:
    """The deployment that comes with actd for a robot, if the policy can be of it."""
    if robot not in _ROBOTS:
        raise UsageError(f"--robot: {robot!r} is not known: choose from {', '.join(_ROBOTS)}")
    shipped = load(resource_dir("configs") / f"{robot}.yaml")
    count = len(shipped.robot.joints)
    if count != spec.action_dim:
        raise UsageError(
            f"--robot {robot} has {count} joints, the policy commands {spec.action_dim}; "
            "leave --robot out and name them yourself"
        )
    return shipped


def _guessed_joints(spec: PolicySpec) -> dict[str, JointConfig]:
    """The joints by their names, with the range of the training data, as far as it is known."""
    names = spec.names.get(spec.action.key, ())
    if len(set(names)) != spec.action_dim:
        names = tuple(f"joint_{j}" for j in range(spec.action_dim))
    least = _LEAST_SHARE * _widest(spec) or 1e-3
    still = _still(spec)
    return {
        name: _joint(kind_named(name), low, high, least if j in still else 0.0)
        for j, (name, (low, high)) in enumerate(zip(names, _ranges(spec), strict=True))
    }


def _ranges(spec: PolicySpec) -> list[tuple[float, float]]:
    """Smallest and largest command of each joint in training, a guess where not known."""
    count = spec.action_dim
    lows, highs = spec.likely_range(spec.action.key) or ((-1.0,) * count, (1.0,) * count)
    return list(zip(lows, highs, strict=True))


def _widest(spec: PolicySpec) -> float:
    return max(high - low for low, high in _ranges(spec))


def _still(spec: PolicySpec) -> frozenset[int]:
    """Joints that never moved in training."""
    widest = _widest(spec)
    return frozenset(
        j
        for j, (low, high) in enumerate(_ranges(spec))
        if high - low <= _STILL_SHARE * max(abs(low), abs(high), widest)
    )


def _joint(kind: Kind, low: float, high: float, least: float) -> JointConfig:
    if kind == "velocity":
        low, high = min(low, 0.0), max(high, 0.0)
    # not less than what the file's digits and a float32 can tell apart
    middle = (low + high) / 2
    span = max(high - low, least, 1e-6 * abs(middle))
    digits = 3 - math.floor(math.log10(span))
    # The whole range in one second, reached within a quarter of one: slow for a teleoperated arm.
    return JointConfig(
        kind=kind,
        position=(round(middle - 0.55 * span, digits), round(middle + 0.55 * span, digits)),
        velocity=round(span if kind != "velocity" else 4 * span, digits),
        acceleration=None if kind == "velocity" else round(4 * span, digits),
    )


def _units(spec: PolicySpec, joints: Iterable[JointConfig]) -> str:
    """The line of the units: radians unless the training data are out of their reach."""
    ranges = spec.likely_range(spec.action.key)
    if ranges is None or largest_place(joints, ranges) <= MOST_RAD:
        return "  units: rad            # check: the units of your dataset"
    said = f"trained {min(ranges[0]):.4g}..{max(ranges[1]):.4g}, so not rad"
    return f"  units: unknown        # check: {said}: degrees, percent, ticks?"


def _robot_name(robot: str) -> str:
    """A name that tells this computer's robot from others."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{robot}-{platform.node()}")[:64]


def _lines(  # noqa: PLR0917
    spec: PolicySpec,
    shipped: Config | None,
    robot: str,
    source: str | Path,
    engine: Path,
    out: Path,
    matches: Sequence[CameraMatch],
) -> Iterator[str]:
    here = os.path.relpath(engine.resolve(), out.parent.resolve())
    yield f"# Written by `actd init` for {source}."
    yield "# Lines marked `check:` are guesses. Every key: `actd config schema`."
    yield ""
    yield "# An engine folder, written by `actd export`; relative to this file."
    yield f"engine: {plain(here)}"
    yield ""
    yield "robot:"
    yield "  # In every message, so that a command for this robot reaches no other."
    yield f"  name: {_robot_name(robot)}  # check: one of its own for each of your robots"
    joints = shipped.robot.joints if shipped else _guessed_joints(spec)
    units = f"  units: {shipped.robot.units}  # check: those of your dataset" if shipped else None
    yield units or _units(spec, joints.values())
    yield "  # The action vector, in the dataset's order. Limits in unit, unit/s, unit/s^2."
    yield "  # check: names as your robot knows them, and every limit. Lower velocities make the"
    yield "  # whole arm slower on the same path, which is how to begin."
    yield "  # check: kind: gripper, continuous (turns without end) or velocity; default position"
    yield "  joints:"
    still = frozenset[int]() if shipped else _still(spec)
    for j, (name, joint) in enumerate(joints.items()):
        mark = "  # check: never moved in training" if j in still else ""
        yield f"    {plain(name)}: {_inline(joint)}{mark}"
    yield from _state_lines(spec, list(joints))
    yield ""
    yield "# The policy's cameras, in LeRobot's syntax. Frames must have the trained size."
    yield "cameras:" + ("" if spec.cameras else " {}")
    sizes = {feature.camera: feature.boundary_shape for feature in spec.cameras}
    yield from camera_lines(sizes, matches)
    yield from _control_lines(spec, shipped)
    yield ""
    yield "observation:"
    yield "  # How old an image was when a row of the dataset was recorded beside it: the"
    yield "  # camera's latency plus half a frame, say 40 + 17 ms. Here: latency_ms of each camera."
    yield "  image_age_ms: 0     # check"
    yield ""
    yield "staleness:"
    yield "  state_ms: 200         # no robot state for this long: hold"
    yield "  camera_ms: 300        # a camera older than this: hold"
    yield "  fault_after_ms: 2000  # holding for this long: FAULT, until an operator resets"
    yield ""
    yield "process:"
    yield "  realtime: prefer      # require: do not start without SCHED_FIFO and locked memory"


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
    yield f"  # check: observation.state has {count} values; name them in order"
    yield "  state:"
    for name in states:
        yield f"    - {plain(name)}"


def _unmeasured(missing: Sequence[str], known: Sequence[str], count: int) -> str:
    if words := relative_actions(missing):
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


def _control_lines(spec: PolicySpec, shipped: Config | None) -> Iterator[str]:
    coeff = spec.temporal_ensemble_coeff
    guess = shipped.control.policy_hz if shipped else None
    policy_hz = spec.trained_hz or guess or _GUESSED_POLICY_HZ
    rate_hz = shipped.control.rate_hz if shipped else min(max(policy_hz, _LEAST_RATE_HZ), 1000.0)
    how = "the fps of the training dataset" if spec.trained_hz else "check: the dataset's fps"
    yield ""
    yield "control:"
    yield f"  rate_hz: {rate_hz:g}           # control ticks per second"
    yield f"  policy_hz: {policy_hz:g}         # {how}"
    if coeff is None:
        yield "  mode: queue           # as trained; or temporal (ensemble), latest (cross-fade)"
        yield f"  n_action_steps: {spec.n_action_steps}   # of the chunk's {spec.chunk_size} rows"
    else:
        yield "  mode: temporal        # as trained; or queue, latest (cross-fade)"
        yield f"  temporal_coeff: {coeff:g}  # > 0 favours the oldest prediction"
