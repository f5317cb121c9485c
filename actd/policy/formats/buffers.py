"""Statistics that LeRobot before 0.4 kept as buffers among the weights.

Reads `normalize_inputs.buffer_<feature>.<stat>` and `unnormalize_outputs.buffer_...`,
where a feature's dots have become underscores, and `<dataset>_buffer_<feature>` of
policies trained on several datasets. Names are resolved from the feature to the
buffer, never back: an underscore may have been one all along. A buffer that is
missing or still inf, its initial value, is a CheckpointError.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from actd.policy.files import TensorFile, refusal
from actd.policy.formats.base import plain_name
from actd.policy.normalization import MODE_STATISTICS, Normalization, Statistics, checked
from actd.policy.overrides import STATISTICS_OPTION, Overrides
from actd.policy.spec import Feature, PolicySpec

_BUFFER = re.compile(
    r"(?P<side>normalize_inputs|unnormalize_outputs)\."
    r"(?:(?P<dataset>.+?)_)?buffer_(?P<name>[^.]+)\.(?P<stat>[^.]+)"
)

# (side, feature's name in buffers) -> dataset ("" for the only one) -> statistic -> stored key
_Index = Mapping[tuple[str, str], Mapping[str, Mapping[str, str]]]


def has_buffers(tensors: TensorFile) -> bool:
    """Whether the weights hold statistics at all."""
    return any(_BUFFER.fullmatch(plain_name(key)) for key in tensors.shapes)


def read_buffers(
    tensors: TensorFile, spec: PolicySpec, modes: Mapping[str, str], overrides: Overrides
) -> Normalization:
    """The statistics of every feature of `spec`. Raises CheckpointError."""
    index = _index(tensors)
    known = {dataset for datasets in index.values() for dataset in datasets}
    if overrides.statistics is not None and overrides.statistics not in known:
        names = ", ".join(sorted(known - {""})) or "only statistics without a dataset's name"
        problem = f"{overrides.statistics!r} has no statistics in {tensors.path.name}"
        raise refusal(tensors.path.parent, STATISTICS_OPTION, problem, f"it has {names}")
    statistics: dict[str, Statistics] = {}
    owner: dict[str, str] = {}
    for feature in (*spec.inputs, spec.action):
        name = feature.key.replace(".", "_")
        if owner.setdefault(name, feature.key) != feature.key:
            problem = f"buffer_{name} for both {owner[name]} and {feature.key}"
            raise refusal(tensors.path, feature.key, problem, "train with names that differ")
        statistics[feature.key] = _of(tensors, index, feature, modes[feature.key], overrides)
    return Normalization(modes=modes, statistics=statistics, eps_added=True)


def _index(tensors: TensorFile) -> _Index:
    index: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for key in tensors.shapes:
        if match := _BUFFER.fullmatch(plain_name(key)):
            datasets = index[match["side"], match["name"]]
            datasets[match["dataset"] or ""][match["stat"]] = key
    return index


def _of(
    tensors: TensorFile, index: _Index, feature: Feature, mode: str, overrides: Overrides
) -> Statistics:
    side = "unnormalize_outputs" if feature.kind == "ACTION" else "normalize_inputs"
    name = feature.key.replace(".", "_")
    datasets = {
        dataset: {stat: tensors.flat(key) for stat, key in keys.items()}
        for dataset, keys in index.get((side, name), {}).items()
    }
    if mode == "IDENTITY":
        return {}
    chosen = choose(tensors, f"{side}.buffer_{name}", datasets, mode, overrides.statistics)
    prefix = f"{side}.{chosen}_buffer_{name}." if chosen else f"{side}.buffer_{name}."
    if not datasets:
        others = sorted({n for s, n in index if s == side})
        problem = f"missing, has {', '.join(others) or 'none'}"
        stat = MODE_STATISTICS[mode][0]
        remedy = f"{feature.key} is {mode} and needs it; the names must match config.json"
        raise refusal(tensors.path, prefix + stat, problem, remedy)
    return checked(tensors.path, prefix, feature, mode, datasets[chosen])


def choose(
    tensors: TensorFile,
    key: str,
    datasets: Mapping[str, Statistics],
    mode: str,
    option: str | None,
) -> str:
    """The dataset whose statistics to use, where all have the same any; "" without any."""
    names = ", ".join(sorted(datasets))
    if option is not None and option in datasets:
        return option
    first = next(iter(datasets), "")
    needed = MODE_STATISTICS[mode]
    for other in datasets.values():
        if not all(_same(datasets[first].get(stat), other.get(stat)) for stat in needed):
            problem = f"statistics of several datasets ({names})"
            raise refusal(tensors.path, key, problem, "choose one with --statistics")
    return first


def _same(a: NDArray[np.float32] | None, b: NDArray[np.float32] | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b, equal_nan=True)
