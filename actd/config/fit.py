"""Whether a deployment fits its engine: what is refused, and what a person should look at.

Pure. `check_policy` raises ConfigError; `warnings` only tells.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from actd.cameras.config import CameraConfig
from actd.config.checks import shared_sources
from actd.config.robot import JointConfig, kind_named
from actd.config.sections import NO_RATE, Config
from actd.element_names import unsupported_actions
from actd.errors import ConfigError
from actd.policy.spec import PolicySpec, Range

if TYPE_CHECKING:
    from actd.engine.manifest import Manifest

SAME_RATE = 0.01
"""By which share rates may differ and yet be the same: 29.97 is 30."""

# Degrees taken for radians, or the other way round, make a joint's range 2 % of the other.
_NARROW = 0.05
_BEYOND = 0.01
# A start pose may be outside the trained range by this share of it.
_UNLIKE = 0.1
MOST_RAD = 4 * math.pi
"""Further than this, in radians, no joint of an arm turns."""


def check_policy(config: Config, spec: PolicySpec, where: str) -> None:
    """Refuse a deployment that does not fit its engine. Raises ConfigError, all at once."""
    problems = [*_mismatches(config, spec), *_rate(config, spec)]
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))


def _rate(config: Config, spec: PolicySpec) -> Iterator[str]:
    given, trained = config.control.policy_hz, spec.trained_hz
    if given is None and trained is None:
        yield f"control.policy_hz: {NO_RATE}"
    if given is None or trained is None or abs(given / trained - 1) <= SAME_RATE:
        return
    factor, how = (given / trained, "fast") if given > trained else (trained / given, "slow")
    yield (
        f"control.policy_hz: {given:g}, but the engine was trained on {trained:g} rows per second: "
        f"this plays the policy {factor:.3g} times too {how}; remove policy_hz, or where the "
        f"engine is wrong, export it again with --fps {given:g}"
    )


def _mismatches(config: Config, spec: PolicySpec) -> Iterator[str]:
    trained = {feature.camera: feature for feature in spec.cameras}
    for name in trained.keys() - config.cameras.keys():
        yield f"cameras.{name}: missing; the policy was trained with {', '.join(trained)}"
    for name in config.cameras.keys() - trained.keys():
        hint = difflib.get_close_matches(name, trained, 1)
        yield (
            f"cameras.{name}: the policy has no such camera (it has {', '.join(trained) or 'none'})"
            + (f": did you mean {hint[0]}?" if hint else "; remove it")
        )
    for name in trained.keys() & config.cameras.keys():
        height, width, _ = trained[name].boundary_shape
        size = _frame_size(config.cameras[name])
        if size is not None and size != (width, height):
            yield (
                f"cameras.{name}: gives {size[0]}x{size[1]}, the policy was trained on "
                f"{width}x{height}; set width and height to that, "
                f"or add resize: [{width}, {height}]"
            )
    joints = len(config.robot.joints)
    if joints != spec.action_dim:
        yield f"robot.joints: {joints} joints listed, the policy commands {spec.action_dim}"
    states = {f.key: f.shape[0] for f in spec.vectors if f.kind == "STATE"}
    for key, size_wanted in states.items():
        if len(config.robot.state_names) != size_wanted:
            yield (
                f"robot.state: {len(config.robot.state_names)} names for {key}, "
                f"the policy takes {size_wanted}"
            )
        yield from _order("robot.state", config.robot.state_names, spec.names.get(key, ()))
    yield from _order("robot.joints", config.robot.joints, spec.names.get(spec.action.key, ()))
    steps = config.control.n_action_steps
    if steps is not None and steps > spec.chunk_size:
        yield f"control.n_action_steps: {steps} is more than the chunk's {spec.chunk_size} rows"


def _order(where: str, given: Iterable[str], trained: tuple[str, ...]) -> Iterator[str]:
    """The names of the training data in another order: every command would go to a wrong joint."""
    names = tuple(given)
    if names != trained and sorted(names) == sorted(trained):
        yield (
            f"{where}: the order is {', '.join(names)}, trained was {', '.join(trained)}; "
            "use that order"
        )


def _frame_size(camera: CameraConfig) -> tuple[int, int] | None:
    """(width, height) of the frames this camera will give, if the file says so."""
    if camera.resize is not None:
        return camera.resize
    if camera.width is None or camera.height is None:
        return None
    return camera.width, camera.height


def warnings(config: Config, manifest: Manifest) -> list[str]:
    """What is allowed and yet often a mistake, a line for each: in the policy and in the file."""
    return list(dict.fromkeys([*manifest.warnings, *fit_warnings(config, manifest.spec)]))


def fit_warnings(config: Config, spec: PolicySpec) -> list[str]:
    """Those of a deployment beside its policy."""
    key = spec.action.key
    exact, ranges = spec.trained_range(key) is not None, spec.likely_range(key)
    lines = []
    said = unsupported_actions(spec.names.get(key, ()))  # by the policy's own warnings
    if not said and (words := unsupported_actions(config.robot.joints)):
        lines.append(f"robot.joints: {words}")
    for j, (name, joint) in enumerate(config.robot.joints.items()):
        sentences = list(_kind_words(name, joint))
        if ranges is not None and joint.position is not None and j < spec.action_dim:
            sentences += _range_words(joint.position, ranges[0][j], ranges[1][j], exact)
        lines += [f"robot.joints.{name}: {text}" for text in sentences]
    for camera, (other, source) in shared_sources(config.cameras).items():
        lines.append(f"cameras.{camera}: the images of cameras.{other} again ({source})")
    if not lines and (words := _unit_words(config, ranges)):
        lines.append(f"robot.units: {words}")
    return lines + list(_start_words(config, ranges))


def _start_words(config: Config, ranges: Range | None) -> Iterator[str]:
    """A start pose where the policy was never trained to command the arm."""
    start = config.poses.start
    if start is None or ranges is None:
        return
    for name, low, high in zip(config.robot.joints, *ranges, strict=False):
        margin = _UNLIKE * (high - low)
        if name in start and not low - margin <= start[name] <= high + margin:
            yield f"poses.start.{name}: {start[name]:g}, trained {low:.4g}..{high:.4g}"


def _unit_words(config: Config, ranges: Range | None) -> str:
    """Radians that turn further than any joint of an arm does, or degrees that hardly turn."""
    if ranges is None:
        return ""
    units = config.robot.units.strip().lower()
    largest = largest_place(config.robot.joints.values(), ranges)
    if units.startswith("rad") and largest > MOST_RAD:
        other = "degrees, or percent?"
    elif units.startswith("deg") and 0 < largest <= MOST_RAD:
        other = "radians?"
    else:
        return ""
    return f"{config.robot.units}, but trained to {largest:.4g}: {other}"


def largest_place(joints: Iterable[JointConfig], ranges: Range) -> float:
    """How far from 0 the training data went in joints of kind position, 0 without any."""
    pairs = zip(joints, *ranges, strict=False)
    return max(
        (max(-low, high) for joint, low, high in pairs if joint.kind == "position"), default=0.0
    )


def _range_words(
    allowed: tuple[float, float], low: float, high: float, exact: bool
) -> Iterator[str]:
    """A joint's range in the training data against the one that it is allowed."""
    width = allowed[1] - allowed[0]
    about = "" if exact else "about "
    said = f"trained {about}{low:.4g}..{high:.4g}, allowed {allowed[0]:g}..{allowed[1]:g}"
    share = (high - low) / width
    if high < allowed[0] or low > allowed[1]:
        yield f"{said}: nothing in common: another unit, or another joint?"
    elif share > 1 / _NARROW:
        yield f"{said}: the trained range is {share:.3g} times the allowed one: degrees?"
    elif 0 < share < _NARROW:
        yield (
            f"{said}: the trained range is {share:.1%} of the allowed one: radians? Or a joint "
            "that hardly moved"
        )
    elif exact and (low < allowed[0] - _BEYOND * width or high > allowed[1] + _BEYOND * width):
        yield f"{said}: what the policy commands beyond is cut off"


def _kind_words(name: str, joint: JointConfig) -> Iterator[str]:
    """A joint whose name says another kind than its section."""
    if joint.kind == "velocity":
        if joint.acceleration is not None:
            yield "acceleration: not used: a velocity joint's largest change per second is velocity"
    elif kind_named(name) == "velocity":
        yield f"kind: {joint.kind}: the name says a speed: kind: velocity?"
    elif joint.kind == "position" and kind_named(name) == "gripper":
        yield (
            "kind: position: the name says a gripper, and what it holds keeps a gripper from its "
            "place, which would be a FAULT: kind: gripper?"
        )
