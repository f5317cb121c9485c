"""Which keys differ between two deployments. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actd.config.sections import Config


def changed_keys(running: Config, new: Config) -> list[str]:
    """The keys, such as `control.rate_hz`, whose values differ, defaults filled in."""
    before, after = (dict(_flat(config.model_dump(mode="json"))) for config in (running, new))
    missing = object()
    # in the order of the new file; what is only in the old one comes last
    keys = dict.fromkeys([*after, *before])
    return [key for key in keys if before.get(key, missing) != after.get(key, missing)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
