"""How bright a dataset's images are, as its own statistics say: no image is read.

v2.0 and v3.0 have statistics of all episodes, v2.1 of each. What is missing, damaged or not of
values from 0 to 1 is left out: it is not known then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.datasets import paths
from actd.datasets.stats import combine
from actd.demonstrations import FeatureStatistics
from actd.errors import RecordingError
from actd.files import parse_json, read_text

_OF_EPISODES = "meta/episodes_stats.jsonl"


def image_statistics(root: Path, cameras: Sequence[str]) -> dict[str, FeatureStatistics]:
    """`mean` and `std` of each channel of the cameras where they are known, by feature key."""
    try:
        entries = [dict(entry) for entry in _entries(root)]
    except (OSError, ValueError, LookupError, TypeError, RecordingError):
        return {}
    statistics: dict[str, FeatureStatistics] = {}
    for key in cameras:
        parts = [part for entry in entries if (part := _moments(entry.get(key))) is not None]
        if parts and len(parts) == len(entries):
            whole = combine(parts)
            statistics[key] = {name: tuple(map(float, whole[name])) for name in ("mean", "std")}
    return statistics


def _entries(root: Path) -> Iterator[Mapping[str, Any]]:
    if (root / paths.STATS).is_file():
        yield paths.read_json(root / paths.STATS)
    elif (root / _OF_EPISODES).is_file():
        for line in read_text(root / _OF_EPISODES).splitlines():
            yield parse_json(line)["stats"]


def _moments(statistics: object) -> dict[str, NDArray[Any]] | None:
    if not isinstance(statistics, Mapping):
        return None
    try:
        mean, std = (np.ravel(statistics[name]).astype(np.float64) for name in ("mean", "std"))
        count = max(1, int(np.ravel(statistics.get("count", 1))[0]))
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    if mean.shape != (3,) or std.shape != (3,) or not ((mean >= 0) & (mean <= 1)).all():
        return None
    if not ((std > 0) & (std <= 1)).all():
        return None
    # `combine` asks for the ends too.
    return {"mean": mean, "std": std, "min": mean, "max": mean, "count": np.array([count])}
