"""Frozen dataclasses as JSON data, and back with their types.

One walk over the fields' annotations, so that what a process is told and what a recording says of
its run need no code of their own. Fields may be dataclasses, pydantic models, Literals, enums,
tuples, string-keyed Mappings, paths, `Vector`, str, int, float, bool, Any and any of these or None.
JSON has no infinity: numbers that are not finite become "inf", "-inf" and "nan".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")

# Which JSON a type is made from; enums and paths are strings, pydantic models maps.
_FORMS: Mapping[Any, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (float, int, str),
    str: (str,),
}


def encode(value: Any) -> Any:
    """`value` as lists, maps with string keys, strings and finite numbers."""
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [encode(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def decode(kind: type[T], data: Any) -> T:
    """The `kind` that `encode` made `data` of. Raises ValueError, one line, for anything else."""
    decoded: T = _decode(kind, data, kind.__name__)
    return decoded


def _decode(kind: Any, data: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (inner,) = set(args) - {NoneType}
        return None if data is None else _decode(inner, data, where)
    if is_dataclass(kind) and isinstance(data, dict):
        return _dataclass(kind, data, where)
    if origin is Mapping and isinstance(data, dict):
        return {key: _decode(args[1], item, f"{where}.{key}") for key, item in data.items()}
    if origin in (tuple, np.ndarray) and isinstance(data, list):
        kinds = args if origin is tuple else (float, ...)
        kinds = kinds[:1] * len(data) if kinds[-1] is ... else kinds
        if len(kinds) == len(data):
            places = [f"{where}[{index}]" for index in range(len(data))]
            items = list(map(_decode, kinds, data, places))
            return tuple(items) if origin is tuple else np.array(items, np.float64)
    if kind is Any or (origin is Literal and data in args):
        return data
    if type(data) in _FORMS.get(kind, (str, dict)) and origin is None and not is_dataclass(kind):
        try:
            return getattr(kind, "model_validate", kind)(data)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{where}: {' '.join(str(error).split())}") from None
    raise ValueError(f"{where}: found {data!r:.60}, expected {kind}")


def _dataclass(kind: Any, data: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    wrong = [f"{name} missing" for name in names if name not in data]
    wrong += [f"{name} unknown" for name in data if name not in names]
    if wrong:
        raise ValueError(f"{where}: {', '.join(wrong)}")
    return kind(**{name: _decode(hints[name], data[name], f"{where}.{name}") for name in names})
