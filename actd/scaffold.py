"""Writes a commented actd.yaml from what a checkpoint (or an engine) says of itself.

What no checkpoint knows (joint names, speed limits, camera devices, the dataset's rate) is
filled in with a careful guess and marked `check:`, so that nothing is missing and nothing
is taken on trust. Raises ActdError; never replaces a file unless told to.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from actd.config import JointConfig, load
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ActdError, UsageError
from actd.policy.hints import Hints
from actd.policy.spec import PolicySpec
from actd.resources import resource_dir

_GUESSED_POLICY_HZ = 30
_ROBOTS = ("aloha", "so101")


def write_config(
    source: str | Path,
    out: Path,
    *,
    engine: Path | None,
    robot: str | None,
    force: bool,
    hints: Hints | None = None,
) -> Iterator[str]:
    """Write `out` for the checkpoint or engine folder `source`; yields lines to show."""
    if out.exists() and not force:
        raise UsageError(f"{out}: exists already: give --force to replace it, or another --out")
    folder = Path(source)
    is_engine = (folder / MANIFEST).is_file()
    spec, action = _from_engine(folder) if is_engine else _from_checkpoint(source, hints)
    engine = engine or (folder if is_engine else Path("engines/ort-int8"))
    joints, rate_hz = _joints(spec, action, robot)
    text = "\n".join(_lines(spec, joints, rate_hz, source, engine, out)) + "\n"
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


def _from_engine(folder: Path) -> tuple[PolicySpec, Mapping[str, Any]]:
    manifest = read_manifest(folder)
    return manifest.policy_spec(), {}


def _from_checkpoint(path: str | Path, hints: Hints | None) -> tuple[PolicySpec, Mapping[str, Any]]:
    """The specification and the action's statistics."""
    try:
        from actd.policy.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path, hints)
    except ImportError as error:
        raise ActdError(
            f"{path}: reading a checkpoint needs {error.name}: pip install 'actd[export]', "
            "or give an engine folder instead"
        ) from None
    return checkpoint.spec, checkpoint.statistics.get(checkpoint.spec.action.key, {})


def _joints(
    spec: PolicySpec, action: Mapping[str, Any], robot: str | None
) -> tuple[dict[str, JointConfig], int]:
    """Joints of a shipped robot, or nameless ones with the range of the training data."""
    if robot is None:
        joints = {f"joint_{j}": _joint(action, j) for j in range(spec.action_dim)}
        return joints, round(spec.trained_hz or _GUESSED_POLICY_HZ)
    if robot not in _ROBOTS:
        raise UsageError(f"--robot: {robot!r} is not known: choose from {', '.join(_ROBOTS)}")
    shipped = load(resource_dir("configs") / f"{robot}.yaml")
    joints = shipped.robot.joints
    if len(joints) != spec.action_dim:
        raise UsageError(
            f"--robot {robot} has {len(joints)} joints, the policy commands {spec.action_dim}: "
            "leave --robot out and name them yourself"
        )
    return joints, round(shipped.control.policy_hz or shipped.control.rate_hz)


def _joint(action: Mapping[str, Any], j: int) -> JointConfig:
    if "min" in action and "max" in action:
        low, high = float(action["min"][j]), float(action["max"][j])
    elif "mean" in action and "std" in action:
        mean, std = float(action["mean"][j]), float(action["std"][j])
        low, high = mean - 3 * std, mean + 3 * std
    else:
        low, high = -1.0, 1.0
    span = max(high - low, 1e-3)
    # The whole range in one second, reached within a quarter of one: slow for a teleoperated
    # arm, and a speed to begin with.
    return JointConfig(
        position=(_round(low - 0.05 * span), _round(high + 0.05 * span)),
        velocity=_round(span),
        acceleration=_round(4 * span),
        start_distance=_round(0.25 * span),
    )


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _lines(  # noqa: PLR0917
    spec: PolicySpec,
    joints: Mapping[str, JointConfig],
    rate_hz: int,
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
    yield "  units: rad            # check: the units of your dataset"
    yield "  # The action vector, in the dataset's order. Limits in unit, unit/s, unit/s^2."
    yield "  # check: names as your controller knows them, and every limit"
    yield "  joints:"
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
    yield from _control_lines(spec, rate_hz)
    yield ""
    yield "staleness:"
    yield "  state_ms: 200         # no robot state for this long: hold"
    yield "  camera_ms: 500        # a camera older than this makes no plan"
    yield "  plan_ms: 1000         # no plan newer than this: hold"
    yield "  fault_after_ms: 2000  # holding for this long: FAULT, until an operator resets"
    yield ""
    yield "process:"
    yield "  realtime: prefer      # require: do not start without SCHED_FIFO and locked memory"


def _inline(joint: JointConfig) -> str:
    low, high = joint.position
    start = f", start_distance: {joint.start_distance:g}" if joint.start_distance else ""
    return (
        f"{{position: [{low:g}, {high:g}], velocity: {joint.velocity:g}, "
        f"acceleration: {joint.acceleration:g}{start}}}"
    )


def _state_lines(spec: PolicySpec) -> Iterator[str]:
    states = sum(f.shape[0] for f in spec.vectors if f.kind == "STATE")
    if states != spec.action_dim:
        yield f"  # check: observation.state has {states} values; name them in order"
        yield "  state:"
        for index in range(states):
            yield f"    - {f'joint_{index}' if index < spec.action_dim else f'state_{index}'}"


def _control_lines(spec: PolicySpec, rate_hz: int) -> Iterator[str]:
    coeff = spec.temporal_ensemble_coeff
    yield ""
    yield "control:"
    yield f"  rate_hz: {rate_hz}           # control ticks per second"
    yield f"  policy_hz: {rate_hz}         # check: the fps of the training dataset"
    if coeff is None:
        yield "  mode: queue           # as trained; or temporal (ensemble), latest (cross-fade)"
        yield f"  n_action_steps: {spec.n_action_steps}   # of the chunk's {spec.chunk_size} rows"
    else:
        yield "  mode: temporal        # as trained; or queue, latest (cross-fade)"
        yield f"  temporal_coeff: {coeff:g}  # > 0 favours the oldest prediction"
