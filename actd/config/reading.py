"""From a YAML file to plain maps, and from a mistake in them to a line that a person can act on.

Raises ConfigError and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from actd import files
from actd.cameras.config import CameraConfig, camera_model
from actd.config.sections import SECTIONS, Config
from actd.errors import ConfigError

_CUT_ADDRESS = "unknown key, perhaps a part of a URL; put the URL in quotes"
# Hundreds of times what a deployment takes; more is another file, and YAML is slow.
_MAX_BYTES = 1 << 20


def parse(path: Path) -> Any:
    """The file's map, which remembers lines and columns."""
    data = parse_text(path, read_text(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a map with engine, robot and cameras")
    return data


def read_text(path: Path, errors: str = "strict") -> str:
    """The file's text; `errors` as in `bytes.decode`."""
    try:
        return files.read_text(path, errors, _MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; correct its name, or write one with `actd init ENGINE`"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def parse_text(path: Path, text: str) -> Any:
    """What a YAML text says; `path` is for the messages."""
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{at}: not YAML: {_flat(error.problem)}") from None
    except Exception as error:  # noqa: BLE001 - the parser raises anything for a damaged file
        raise ConfigError(f"{path}: not YAML: {_flat(error)}") from None


def explain(path: Path, data: Any, item: Any) -> str:
    """A line for one of pydantic's errors."""
    # pydantic adds the names of union members to the location; only real keys help a reader.
    keys = list(_real_keys(data, item["loc"]))
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key" + _did_you_mean(data, keys)
        if "@" in str(keys[-1]):
            return _line(path, _position(data, keys), [*keys[:-1], "***"], _CUT_ADDRESS)
    elif item["type"] == "missing":
        return _line(
            path, _position(data, keys), [*keys, item["loc"][-1]], _missing(data, item["loc"])
        )
    elif item["type"] == "path_type":
        message = f"expected a path, found {item['input']!r:.40}"
    elif _repeatable(data, keys) and isinstance(item.get("input"), (str, int, float, bool)):
        message = f"{message[0].lower()}{message[1:]}, found {item['input']!r}"
    return _line(path, _position(data, keys), keys, message)


def line_of(path: Path, data: Any, keys: Sequence[str], text: str) -> str:
    """A line for a problem with the value at `keys`, or with its default."""
    real = list(_real_keys(data, tuple(keys)))
    return _line(path, _position(data, real), keys, text)


def line_number(data: Any, keys: Sequence[str]) -> int:
    """The line of the file that says the value at `keys`."""
    return _position(data, list(_real_keys(data, tuple(keys))))[0]


def remark(data: Any, keys: Sequence[str]) -> str:
    """The comment at the end of the line that says the value at `keys`, "" without one."""
    real = list(_real_keys(data, tuple(keys)))
    said_at, text, part = 0, "", data
    for depth, key in enumerate(real, 1):
        line, _ = _position(data, real[:depth])
        lines = getattr(getattr(part, "ca", None), "items", {})
        comments: Sequence[Any] = lines.get(key) or ()
        if len(comments) > 2 and comments[2]:
            said_at, text = line, str(comments[2].value).split("\n", 1)[0].lstrip("# ").strip()
        elif line != said_at:
            text = ""
        part = part[key]
    return text


def _line(path: Path, position: tuple[int, int], keys: Sequence[Any], message: str) -> str:
    key = ".".join(map(str, keys)) or "(whole file)"
    return f"{path}:{position[0]}:{position[1]} {_flat(key)}: {_flat(message)}"


def _flat(text: object) -> str:
    return " ".join(str(text).split())


def _missing(data: Any, location: tuple[Any, ...]) -> str:
    """What belongs there, as the schema says it."""
    field = _section(data, list(location[:-1])).model_fields.get(str(location[-1]))
    if field is None or not field.description:
        return "missing"
    return f"missing: {field.description[0].lower()}{field.description[1:]}"


def _real_keys(data: Any, location: tuple[Any, ...]) -> Iterator[Any]:
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            continue
        yield part


def _position(data: Any, keys: Sequence[Any]) -> tuple[int, int]:
    line, column = 1, 1
    for key in keys:
        marks = getattr(data, "lc", None)
        if marks is not None and key in (marks.data or {}):
            mark = marks.data[key]
            line, column = mark[0] + 1, mark[1] + 1
        data = data[key]
    return line, column


def _repeatable(data: Any, keys: list[Any]) -> bool:
    """Whether a message may repeat the value at `keys`: not where it may hold a secret."""
    fields = (
        _section(data, keys[:end]).model_fields.get(str(keys[end])) for end in range(len(keys))
    )
    return all(field is None or field.repr for field in fields)


def _did_you_mean(data: Any, keys: list[Any]) -> str:
    known = list(_section(data, keys[:-1]).model_fields)
    close = difflib.get_close_matches(str(keys[-1]), known, 1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(sorted(known))})"


def _section(data: Any, parents: list[Any]) -> type[BaseModel]:
    """The section at `parents`; a map's values are its section, and a camera's is its type's."""
    model: type[BaseModel] = Config
    for key in parents:
        if key in model.model_fields:
            model = SECTIONS.get((model, str(key)), model)
        data = data[key] if isinstance(data, Mapping) and key in data else None
        if model is CameraConfig and isinstance(data, Mapping) and key != "cameras":
            with suppress(ValueError):
                model = camera_model(data)
    return model
