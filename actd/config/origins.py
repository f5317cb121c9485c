"""Every value of a deployment and where it comes from: the file, or a default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from actd.redaction import redacted

Origin = Literal["file", "default"]


def values(config: BaseModel) -> list[dict[str, Any]]:
    """`key` with dots, `value` as JSON data without secrets, `origin`; in the file's order."""
    return [
        {"key": key, "value": redacted(value), "origin": origin}
        for key, value, origin in _values(config, config.model_dump(mode="json"), "", "file")
    ]


def _values(
    section: BaseModel, dumped: Mapping[str, Any], prefix: str, above: Origin
) -> Iterator[tuple[str, Any, Origin]]:
    for name in type(section).model_fields:
        origin = above if name in section.model_fields_set else "default"
        yield from _value(getattr(section, name), dumped[name], f"{prefix}{name}", origin)


def _value(value: Any, dumped: Any, key: str, origin: Origin) -> Iterator[tuple[str, Any, Origin]]:
    if isinstance(value, BaseModel):
        yield from _values(value, dumped, f"{key}.", origin)
    elif isinstance(value, Mapping) and any(isinstance(v, BaseModel) for v in value.values()):
        for name, each in value.items():
            yield from _value(each, dumped[name], f"{key}.{name}", origin)
    else:
        yield key, dumped, origin
