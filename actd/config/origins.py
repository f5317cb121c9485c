"""Every value of a deployment and where it comes from: a line of the file, or a default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from actd.config.reading import line_number, remark
from actd.redaction import redacted

Origin = Literal["file", "default"]
Keys = tuple[str, ...]


def values(config: BaseModel, data: Any = None) -> list[dict[str, Any]]:
    """`key` with dots, `value` as JSON data without secrets, `origin`; in the file's order.

    With `data`, the file's map as `actd.config.reading` gives it, also `line`, None for a default,
    and the `remark` at its end: `actd init` writes there which dataset or preset a value is from.
    """
    return [
        {
            "key": ".".join(keys),
            "value": redacted(value),
            "origin": origin,
            "line": line_number(data, keys) if data is not None and origin == "file" else None,
            "remark": redacted(remark(data, keys)) if data is not None and origin == "file" else "",
        }
        for keys, value, origin in _values(config, config.model_dump(mode="json"), (), "file")
    ]


def _values(
    section: BaseModel, dumped: Mapping[str, Any], above: Keys, origin_above: Origin
) -> Iterator[tuple[Keys, Any, Origin]]:
    for name in type(section).model_fields:
        origin = origin_above if name in section.model_fields_set else "default"
        yield from _value(getattr(section, name), dumped[name], (*above, name), origin)


def _value(
    value: Any, dumped: Any, keys: Keys, origin: Origin
) -> Iterator[tuple[Keys, Any, Origin]]:
    if isinstance(value, BaseModel):
        yield from _values(value, dumped, keys, origin)
    elif isinstance(value, Mapping) and any(isinstance(v, BaseModel) for v in value.values()):
        for name, each in value.items():
            yield from _value(each, dumped[name], (*keys, name), origin)
    else:
        yield keys, dumped, origin
