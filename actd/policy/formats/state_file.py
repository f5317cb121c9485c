"""The statistics that LeRobot 0.4 and newer keep in a file of their own, `<feature>.<statistic>`.

LeRobot's own migration of older checkpoints turned every underscore of a name into a dot, and kept
the names of datasets (`so100.buffer.action.mean`); LeRobot then finds nothing and runs
un-normalised. Such statistics are used where only one feature can be meant. Raises
CheckpointError where several can, or where a mode's statistics are missing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from actd.policy.files import TensorFile, refusal
from actd.policy.formats.buffers import choose
from actd.policy.normalization import MODE_STATISTICS, Statistics, checked
from actd.policy.overrides import STATISTICS_OPTION
from actd.policy.spec import Feature

_SCOPED = re.compile(r"(?:(?P<dataset>.+)[._])?buffer[._](?P<name>.+)")


class StoredStatistics:
    """The statistics in one file, for the features of its step.

    `notes` says which were found under another name than their feature's. `datasets` are the
    names that the file scopes statistics with, as a user writes them.
    """

    def __init__(
        self, tensors: TensorFile, features: Sequence[Feature], dataset: str | None
    ) -> None:
        self._tensors = tensors
        self._exact = {feature.key for feature in features}
        self._dataset = dataset
        self._keys: dict[str, dict[str, str]] = defaultdict(dict)
        for key in tensors.shapes:
            prefix, _, stat = key.rpartition(".")
            self._keys[prefix][stat] = key
        self.notes: tuple[str, ...] = ()
        self.datasets: set[str] = set()

    def of(self, feature: Feature, mode: str) -> Statistics:
        """The usable statistics of one feature. Raises CheckpointError."""
        if feature.key in self._keys or not MODE_STATISTICS[mode]:
            return self._checked(feature.key, feature, mode)
        scopes = self._scopes(feature)
        if not scopes and any(map(_SCOPED.fullmatch, self._keys)):
            key, cause = (
                f"{feature.key}.{MODE_STATISTICS[mode][0]}",
                "lost in LeRobot's migration",
            )
            remedy = "export the checkpoint as it was before it was migrated"
            raise refusal(self._tensors.path, key, cause, remedy)
        if not scopes:
            return self._checked(feature.key, feature, mode)
        by_dataset = {name: self._read(prefix) for name, prefix in scopes.items()}
        option = None if self._dataset is None or "" in scopes else _flat(self._dataset)
        if option is not None and option not in scopes:
            cause = f"{self._dataset!r} has no statistics of {feature.key}"
            names = ", ".join(sorted(scopes))
            raise refusal(self._tensors.path, STATISTICS_OPTION, cause, f"it has {names}")
        chosen = choose(self._tensors, feature.key, by_dataset, mode, option)
        prefix = scopes[chosen]
        self.notes += (
            f"{self._tensors.path}: {prefix} holds the statistics of {feature.key}: LeRobot's "
            "migration renamed them",
        )
        return self._checked(prefix, feature, mode)

    def _scopes(self, feature: Feature) -> Mapping[str, str]:
        """Dataset ("" without one) -> the prefix that can only mean `feature`."""
        prefixes: dict[str, str] = {}
        for prefix in self._keys:
            scope = _SCOPED.fullmatch(prefix)
            dataset = _flat(scope["dataset"] or "") if scope else ""
            name = scope["name"] if scope else prefix
            if prefix in self._exact or _flat(name) != _flat(feature.key):
                continue
            if dataset in prefixes:
                both = f"{prefixes[dataset]} and {prefix} for {feature.key}"
                raise refusal(self._tensors.path, prefix, both, "keep one of them")
            prefixes[dataset] = prefix
        self.datasets |= prefixes.keys() - {""}
        return prefixes

    def _read(self, prefix: str) -> Statistics:
        return {stat: self._tensors.flat(key) for stat, key in self._keys.get(prefix, {}).items()}

    def _checked(self, prefix: str, feature: Feature, mode: str) -> Statistics:
        return checked(self._tensors.path, f"{prefix}.", feature, mode, self._read(prefix))


def _flat(name: str) -> str:
    """A name whose dots and underscores are alike, as the migration left them."""
    return name.replace(".", "_")
