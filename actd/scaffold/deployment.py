"""What `actd init` decides: the robot, its joints, units and rates. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actd.config import JointConfig, kind_named
from actd.control.limits import Kind
from actd.errors import UsageError
from actd.policy.spec import PolicySpec
from actd.scaffold.joints import Playback, demonstrated_joints, guessed_joints, ranges_of
from actd.scaffold.knowledge import Knowledge
from actd.scaffold.presets import Preset, Scale, preset, recorded_on
from actd.scaffold.units import Units, guess_units

_GUESSED_POLICY_HZ = 30.0
_PLAYBACK = Playback(50.0, "linear")
_MOST_RATE_HZ = 1000.0
# Beyond it no file can hold the limits.
_FURTHEST = 1e8


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that the file says of the robot.

    `robot` is the preset's name, None without one. `renamed`: joints of the training data whose
    names the preset does not know, and the joints they are taken for by their place.
    """

    robot: str | None
    preset: Preset | None
    joints: dict[str, JointConfig]
    renamed: tuple[tuple[str, str], ...]
    units: Units
    policy_hz: float
    playback: Playback
    notes: tuple[str, ...]

    @property
    def kinds(self) -> list[Kind]:
        """Of its joints, in order."""
        return [joint.kind for joint in self.joints.values()]


def decide(known: Knowledge, robot: str | None) -> Deployment:
    """The deployment of what is known on `robot`, else on the one that recorded the data.

    Raises UsageError for a robot that the policy cannot be of.
    """
    spec, motion = known.spec, known.motion
    name, notes = _robot(known, robot)
    base = preset(name) if name else None
    policy_hz, playback = _rates(spec, base)
    trained = _trained_names(spec)
    forms = _forms(base, spec.action_dim, trained) if base else {}
    usual = next(iter(forms.values()), {})
    fixed = base is not None and base.names == "fixed"
    numbered = [f"joint_{j}" for j in range(spec.action_dim)]
    names = list(usual) if fixed else list(trained or usual or numbered)
    _check_ranges(names, spec)
    by_place = fixed and base is not None and len(trained) > 0 and not base.knows(trained)
    kinds = [joint.kind for joint in usual.values()] or list(map(kind_named, names))
    joints = guessed_joints(spec, kinds)
    units = guess_units(
        joints,
        spec.likely_range(spec.action.key),
        base,
        exact=spec.trained_range(spec.action.key) is not None,
        resolution=motion.resolution if motion else (),
    )
    if motion is not None:
        joints = demonstrated_joints(spec, kinds, motion, playback)
    elif forms:
        joints = list(forms.get(units.scale or "rad", usual).values())
    return Deployment(
        robot=name,
        preset=base,
        joints=dict(zip(names, joints, strict=True)),
        renamed=tuple(zip(trained, names, strict=True)) if by_place else (),
        units=units,
        policy_hz=policy_hz,
        playback=playback,
        notes=notes,
    )


def _check_ranges(names: Sequence[str], spec: PolicySpec) -> None:
    for name, (low, high) in zip(names, ranges_of(spec), strict=True):
        if max(abs(low), abs(high)) > _FURTHEST:
            raise UsageError(
                f"action: {name} went from {low:.3g} to {high:.3g} in training, as no joint does; "
                "recompute the statistics of the checkpoint"
            )


def _robot(known: Knowledge, option: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The preset to take, None without one, and what to say of it."""
    recorded, robot_type = recorded_on(known.training.robot_type), known.training.robot_type
    name = option or recorded
    if name is None:
        return None, ()
    count, candidate = known.spec.action_dim, preset(name)
    if candidate.in_order(count, ()) is None:
        problem = f"{name} has {len(candidate.joints)} joints, the policy commands {count}"
        if option is not None:
            raise UsageError(f"--robot: {problem}; leave --robot out")
        return None, (f"recorded on {robot_type}: not taken for {name}: {problem}",)
    if option is None:
        return name, (f"recorded on {robot_type}: taken for {name}; --robot is another",)
    if recorded not in (None, option):
        return name, (f"recorded on {robot_type}, and taken for {option}",)
    return name, ()


def _rates(spec: PolicySpec, base: Preset | None) -> tuple[float, Playback]:
    """Rows per second, and how they are played: no slower."""
    policy_hz = spec.trained_hz or (base.policy_hz if base else _GUESSED_POLICY_HZ)
    usual = Playback(base.rate_hz, base.interpolation) if base else _PLAYBACK
    rate_hz = min(max(usual.rate_hz, policy_hz), _MOST_RATE_HZ)
    return policy_hz, Playback(rate_hz, usual.interpolation)


def _trained_names(spec: PolicySpec) -> tuple[str, ...]:
    """The names of the training data, where they tell the joints apart."""
    names = spec.names.get(spec.action.key, ())
    return names if len(set(names)) == spec.action_dim else ()


def _forms(base: Preset, count: int, trained: Sequence[str]) -> dict[Scale, dict[str, JointConfig]]:
    """The joints of the preset in the order of the policy, as each of its forms has them."""
    order = base.in_order(count, trained) or []
    return {
        scale: {joint: form.joints[joint] for joint in order} for scale, form in base.forms.items()
    }
