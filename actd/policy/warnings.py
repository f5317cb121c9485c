"""What to know before an arm moves by a checkpoint: facts that no error stops.

Pure: takes what the checkpoint's files say. Every command that takes the checkpoint, or an
engine of it, says these sentences in these words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from actd.element_names import element_count, is_speed, unsupported, unsupported_actions
from actd.policy.config import STATE_KEY
from actd.policy.normalization import (
    MODE_STATISTICS,
    Normalization,
    Statistics,
    is_imagenet,
)
from actd.policy.spec import Feature, PolicySpec
from actd.policy.training import TrainingFiles

_STILL = 1e-4
# Demonstrated positions go where the arm goes. Steps from row to row are a small part of that, but
# perhaps a gripper's.
_STEP_SHARE = 0.2
_FEWEST_STEPS = 3
_MOST = 0.75


def policy_warnings(
    spec: PolicySpec, normalization: Normalization, files: TrainingFiles
) -> Iterator[str]:
    """A sentence for everything that is allowed and changes how an arm behaves."""
    yield from _images(spec, normalization.modes, normalization.statistics)
    yield from _vectors(spec, files)
    for feature in (*spec.vectors, spec.action):
        names = spec.names.get(feature.key, ())
        mode, values = normalization.modes[feature.key], normalization.statistics[feature.key]
        yield from _still(feature, mode, values, names)


def exchangeable_cameras(spec: PolicySpec, normalization: Normalization) -> tuple[str, ...]:
    """Cameras that the network cannot tell apart: their order has no say in its answer."""
    modes, statistics = normalization.modes, normalization.statistics
    return tuple(
        camera.camera
        for camera in spec.cameras
        if sum(_alike(camera, other, modes, statistics) for other in spec.cameras) > 1
    )


def _images(
    spec: PolicySpec, modes: Mapping[str, str], statistics: Mapping[str, Statistics]
) -> Iterator[str]:
    for camera in spec.cameras:
        if modes[camera.key] == "MEAN_STD" and not is_imagenet(statistics[camera.key]):
            yield f"{camera.key}: its mean and std are not ImageNet's but its dataset's"
        if modes[camera.key] == "IDENTITY":
            yield f"{camera.key}: pixels of 0 to 1 are not normalised"


def _alike(
    a: Feature, b: Feature, modes: Mapping[str, str], statistics: Mapping[str, Statistics]
) -> bool:
    needed = MODE_STATISTICS[modes[a.key]]
    return (
        a.shape == b.shape
        and modes[a.key] == modes[b.key]
        and all(np.array_equal(statistics[a.key][s], statistics[b.key][s]) for s in needed)
    )


def _vectors(spec: PolicySpec, files: TrainingFiles) -> Iterator[str]:
    states = next((f.shape[0] for f in spec.vectors if f.key == STATE_KEY), None)
    if states is None:
        yield f"no {STATE_KEY}: the policy does not feel where the arm is"
    elif states != spec.action_dim:
        yield f"{STATE_KEY} has {states} values, action {spec.action_dim}: they are not one to one"
    if words := unsupported_actions(spec.names.get(spec.action.key, ())):
        yield f"{spec.action.key}: {words}"
    elif files.control_mode == "relative":
        yield f"{spec.action.key}: {unsupported('relative actions (env.control_mode)')}"
    else:
        yield from _steps(spec)
    recorded = element_count(files.features.get(spec.action.key, {}))
    if recorded not in (0, spec.action_dim):
        yield (
            f"dataset {files.training.dataset} has {recorded} joints, "
            f"the policy has {spec.action_dim}: not the dataset it was trained on"
        )
    if spec.temporal_ensemble_coeff is None and spec.n_action_steps == 1 < spec.chunk_size:
        yield "n_action_steps 1 without ensembling: jerky, and rarely successful; consider more"


def _steps(spec: PolicySpec) -> Iterator[str]:
    """Actions that are differences by their size, whatever they are called."""
    actions, states = (spec.likely_range(key) for key in (spec.action.key, STATE_KEY))
    if actions is None or states is None or len(actions[0]) != len(states[0]):
        return
    low, high = (np.array(end) for end in actions)
    width = np.array(states[1]) - np.array(states[0])
    names = spec.names.get(spec.action.key) or [f"value {j}" for j in range(len(low))]
    small = (low <= 0) & (high >= 0) & (low < high) & (high - low < _STEP_SHARE * width)
    small &= ~np.array([is_speed(name) for name in names])
    if small.sum() < _FEWEST_STEPS or small.sum() < _MOST * len(small):
        return
    j = int(np.flatnonzero(small)[0])
    example = f"{names[j]}: {low[j]:.3g} to {high[j]:.3g}, a range of {width[j]:.3g}"
    yield (
        f"{spec.action.key}: {small.sum()} of {len(small)} values go over a small part of what "
        f"{STATE_KEY} does ({example}); if they are differences: {unsupported('relative actions')}"
    )


def _still(
    feature: Feature, mode: str, values: Statistics, names: tuple[str, ...]
) -> Iterator[str]:
    """Values that never changed in training: any change is seen as enormous, or not at all."""
    if mode == "IDENTITY":
        return
    low, high = (values[name] for name in MODE_STATISTICS[mode])
    spread = high if mode == "MEAN_STD" else high - low
    still = [
        f"{i} ({names[i]} at {low[i] + 0.0:.4g})" if names else f"{i} ({low[i] + 0.0:.4g})"
        for i in np.flatnonzero(np.abs(spread) < _STILL).tolist()
    ]
    if still:
        yield f"{feature.key}: values {', '.join(still)} never changed in training"
