"""What `actd init` decides: the robot, its joints, units and rates. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actd.config import JointConfig, kind_named
from actd.errors import UsageError
from actd.policy.spec import PolicySpec
from actd.scaffold.joints import Playback, demonstrated_joints, guessed_joints
from actd.scaffold.knowledge import Knowledge
from actd.scaffold.presets import Preset, Scale, preset, recorded_on
from actd.scaffold.units import Units, guess_units

_GUESSED_POLICY_HZ = 30.0
_LEAST_RATE_HZ = 50.0
_MOST_RATE_HZ = 1000.0


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


def decide(known: Knowledge, robot: str | None) -> Deployment:
    """The deployment of what is known on `robot`, else on the one that recorded the data.

    Raises UsageError for a robot that the policy cannot be of.
    """
    spec = known.spec
    recorded = recorded_on(known.training.robot_type)
    name = robot or recorded
    found, notes = _fitting(name, spec, required=robot is not None)
    if found is None:
        name = None
    elif robot is None:
        notes = (
            f"recorded on a {known.training.robot_type}: taken for {name}; --robot is another",
        )
    elif recorded not in (None, robot):
        notes = (f"recorded on a {known.training.robot_type}, and taken for a {robot}",)
    policy_hz = spec.trained_hz or (found.policy_hz if found else _GUESSED_POLICY_HZ)
    rate_hz = max(found.rate_hz if found else _LEAST_RATE_HZ, policy_hz)
    playback = Playback(min(rate_hz, _MOST_RATE_HZ), found.interpolation if found else "linear")
    trained = _trained_names(spec)
    forms = _forms(found, spec.action_dim, trained) if found else {}
    usual = next(iter(forms.values()), {})
    names = list(trained) or list(usual) or [f"joint_{j}" for j in range(spec.action_dim)]
    renamed: tuple[tuple[str, str], ...] = ()
    if found is not None and found.names == "fixed":
        names = list(usual)
        if trained and not found.knows(trained):
            renamed = tuple(zip(trained, names, strict=True))
    kinds = [joint.kind for joint in usual.values()] or list(map(kind_named, names))
    joints = guessed_joints(spec, kinds)
    key = spec.action.key
    exact = spec.trained_range(key) is not None
    resolution = known.motion.resolution if known.motion else ()
    units = guess_units(joints, spec.likely_range(key), found, exact=exact, resolution=resolution)
    if known.motion is not None:
        joints = demonstrated_joints(spec, kinds, known.motion, playback)
    elif forms:
        joints = list(forms.get(units.scale or "rad", usual).values())
    return Deployment(
        robot=name,
        preset=found,
        joints=dict(zip(names, joints, strict=True)),
        renamed=renamed,
        units=units,
        policy_hz=policy_hz,
        playback=playback,
        notes=notes,
    )


def _fitting(
    name: str | None, spec: PolicySpec, *, required: bool
) -> tuple[Preset | None, tuple[str, ...]]:
    """The preset, where a policy of so many joints can be of it."""
    found = preset(name) if name else None
    if found is None or found.in_order(spec.action_dim, ()) is not None:
        return found, ()
    problem = f"has {len(found.joints)} joints, the policy commands {spec.action_dim}"
    if required:
        raise UsageError(f"--robot: {name} {problem}; leave --robot out")
    return None, (f"recorded on a {name}, which {problem}: its limits are not used",)


def _trained_names(spec: PolicySpec) -> tuple[str, ...]:
    """The names of the training data, where they tell the joints apart."""
    names = spec.names.get(spec.action.key, ())
    return names if len(set(names)) == spec.action_dim else ()


def _forms(
    found: Preset, count: int, trained: Sequence[str]
) -> dict[Scale, dict[str, JointConfig]]:
    """The joints of the preset in the order of the policy, as each of its forms has them."""
    order = found.in_order(count, trained) or []
    return {
        scale: {joint: form.joints[joint] for joint in order} for scale, form in found.forms.items()
    }
