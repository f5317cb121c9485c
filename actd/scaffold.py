"""Writes a commented actd.yaml from what a checkpoint (or an engine) says of itself.

What no checkpoint knows (joint names, speed limits, camera devices, the dataset's rate) is
filled in with a careful guess and marked `check:`, so that nothing is missing and nothing
is taken on trust. Raises ActdError; never replaces a file unless told to.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from actd.config import Config, JointConfig, load
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ActdError, UsageError
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec
from actd.resources import resource_dir

_GUESSED_POLICY_HZ = 30
_LEAST_RATE_HZ = 30.0
_ROBOTS = ("aloha", "so101")
# The least range of a joint that the demonstrations hardly moved, by the widest joint's.
_LEAST_SHARE = 0.05


def write_config(
    source: str | Path,
    out: Path,
    *,
    engine: Path | None,
    robot: str | None,
    force: bool,
    overrides: Overrides | None = None,
) -> Iterator[str]:
    """Write `out` for the checkpoint or engine folder `source`; yields lines to show."""
    if out.exists() and not force:
        raise UsageError(f"{out}: exists already: give --force to replace it, or another --out")
    folder = Path(source)
    is_engine = (folder / MANIFEST).is_file()
    spec = read_manifest(folder).spec if is_engine else _from_checkpoint(source, overrides)
    engine = engine or (folder if is_engine else Path("engines/ort-int8"))
    shipped = None if robot is None else _shipped(robot, spec)
    text = "\n".join(_lines(spec, shipped, robot or "robot", source, engine, out)) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # beside its place and read back first: a file that is replaced is lost to a good one only
        with tempfile.TemporaryDirectory(prefix=".actd-init-", dir=out.parent) as scratch:
            new = Path(scratch) / out.name
            new.write_text(text, encoding="utf-8")
            load(new)
            new.replace(out)
    except OSError as error:
        raise UsageError(
            f"{out}: cannot be written ({error.strerror}): choose another --out"
        ) from None
    yield f"{out}: written for {spec.action_dim} joints and {len(spec.cameras)} cameras"
    yield "edit the lines marked `check:`, then"
    yield f"next: actd config check {out}"


def _from_checkpoint(path: str | Path, overrides: Overrides | None) -> PolicySpec:
    try:
        from actd.policy.checkpoint import load_checkpoint

        return load_checkpoint(path, overrides).spec
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
            f"--robot {robot} has {count} joints, the policy commands {spec.action_dim}: "
            "leave --robot out and name them yourself"
        )
    return shipped


def _guessed_joints(spec: PolicySpec) -> dict[str, JointConfig]:
    """Nameless joints with the range of the training data, as far as it is known."""
    ranges = spec.likely_range(spec.action.key)
    lows, highs = ranges or ((-1.0,) * spec.action_dim, (1.0,) * spec.action_dim)
    pairs = list(zip(lows, highs, strict=True))
    least = _LEAST_SHARE * max(high - low for low, high in pairs) or 1e-3
    return {f"joint_{j}": _joint(low, high, least) for j, (low, high) in enumerate(pairs)}


def _joint(low: float, high: float, least: float) -> JointConfig:
    middle, span = (low + high) / 2, max(high - low, least)
    digits = 3 - math.floor(math.log10(span))
    # The whole range in one second, reached within a quarter of one: slow for a teleoperated arm.
    return JointConfig(
        position=(round(middle - 0.55 * span, digits), round(middle + 0.55 * span, digits)),
        velocity=round(span, digits),
        acceleration=round(4 * span, digits),
    )


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
) -> Iterator[str]:
    here = os.path.relpath(engine.resolve(), out.parent.resolve())
    # JSON's strings are YAML's too, and a # or a colon is then a letter like any other
    named = here if re.fullmatch(r"[\w./-]+", here) else json.dumps(here, ensure_ascii=False)
    yield f"# Written by `actd init` for {source}."
    yield "# Lines marked `check:` are guesses. Every key: `actd config schema`."
    yield ""
    yield "# An engine folder, written by `actd export`; relative to this file."
    yield f"engine: {named}"
    yield ""
    yield "robot:"
    yield "  # In every message, so that a command for this robot reaches no other."
    yield f"  name: {_robot_name(robot)}  # check: one of its own for each of your robots"
    units = shipped.robot.units if shipped else "rad"
    yield f"  units: {units}            # check: the units of your dataset"
    yield "  # The action vector, in the dataset's order. Limits in unit, unit/s, unit/s^2."
    yield "  # check: names as your robot knows them, and every limit. Lower velocities make the"
    yield "  # whole arm slower on the same path, which is how to begin."
    yield "  # check: kind: gripper, continuous (turns without end) or velocity; default position"
    yield "  joints:"
    joints = shipped.robot.joints if shipped else _guessed_joints(spec)
    for name, joint in joints.items():
        yield f"    {name}: {_inline(joint)}"
    yield from _state_lines(spec)
    yield ""
    yield "# The policy's cameras, in LeRobot's syntax. Frames must have the trained size."
    yield "cameras:" + ("" if spec.cameras else " {}")
    for index, feature in enumerate(spec.cameras):
        height, width, _ = feature.boundary_shape
        yield (
            f"  {feature.camera}: {{type: opencv, index_or_path: /dev/video{2 * index}, "
            f"width: {width}, height: {height}, fps: 30}}  # check: which device"
        )
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


def _state_lines(spec: PolicySpec) -> Iterator[str]:
    states = sum(f.shape[0] for f in spec.vectors if f.kind == "STATE")
    if states != spec.action_dim:
        yield f"  # check: observation.state has {states} values; name them in order"
        yield "  state:"
        for index in range(states):
            yield f"    - {f'joint_{index}' if index < spec.action_dim else f'state_{index}'}"


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
