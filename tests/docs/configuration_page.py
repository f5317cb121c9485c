"""docs/configuration.md: every key of actd.yaml, from the schema that `actd run` reads it with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from actd.cameras.config import CameraConfig, OpenCVConfig, PluginConfig, RealSenseConfig, ZmqConfig
from actd.config import Config
from actd.config.section import MOST
from actd.config.sections import SECTIONS

_HEAD = """\
# actd.yaml

Every key, made of the schema by `python -m tests.docs.write`. [`actd init`](init.md) writes the
file, `actd config check` finds every mistake in it at once, `actd config show` fills in every
default, and `actd config schema` gives editors the schema. Milliseconds end in `_ms`, rates in
`_hz`; joints are in the unit that the policy was trained in.

What is not **required** may be left out.
"""

_TYPES: tuple[tuple[str, type[CameraConfig]], ...] = (
    ("opencv", OpenCVConfig),
    ("intelrealsense", RealSenseConfig),
    ("zmq", ZmqConfig),
    ("any other, a plugin's", PluginConfig),
)
_SIMPLE = {"boolean": "`true`, `false`", "string": "text", "object": "map"}
_NUMBERS = {"integer": "whole number", "number": "number"}


def page() -> str:
    """The page's text."""
    return "\n".join([_HEAD, *_section(Config, (), None)])


def undescribed() -> list[str]:
    """Keys of whose meaning the schema says nothing."""
    models = {Config, *SECTIONS.values(), *(kind for _, kind in _TYPES)}
    return sorted(
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description and (model, name) not in SECTIONS and name != "type"
    )


def _section(
    model: type[BaseModel], path: tuple[str, ...], default: BaseModel | None
) -> Iterator[str]:
    """The section at `path`; `default` is what holds where it is left out."""
    yield f"## {'.'.join(path) or 'Top level'}\n"
    yield _summary(model)
    yield from _table(model, model.model_fields, path, default)
    if model is CameraConfig:
        for name, kind in _TYPES:
            yield f"### type: {name}\n"
            yield _summary(kind)
            own = {k: f for k, f in kind.model_fields.items() if k not in CameraConfig.model_fields}
            yield from _table(kind, own, path, None)
    for name, field in model.model_fields.items():
        if (section := SECTIONS.get((model, name))) is not None:
            below = field.get_default()
            yield from _section(
                section, _below(model, name, path), below if isinstance(below, section) else None
            )


def _table(
    model: type[BaseModel],
    fields: dict[str, FieldInfo],
    path: tuple[str, ...],
    default: BaseModel | None,
) -> Iterator[str]:
    properties = _properties(model)
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        meaning = field.description or ""
        if (section := SECTIONS.get((model, name))) is not None:
            below = _below(model, name, path)
            each = " for each name" if below[-1] != name else ""
            value = f"[a section{each}](#{''.join(below).lower()})"
            meaning = meaning or _summary(section).strip()
        else:
            value = _words(properties[name])
        usual = field.get_default() if default is None else getattr(default, name)
        shown = "**required**" if field.is_required() else _default(usual)
        yield f"| `{name}` | {value} | {shown} | {_sentence(meaning)} |"
    yield ""


def _below(model: type[BaseModel], name: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Where the section under `name` is; NAME stands for the names of a map of sections."""
    is_map = "additionalProperties" in _properties(model)[name]
    return (*path, name, "NAME") if is_map else (*path, name)


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    if model is CameraConfig:  # whose schema is that of its types
        model = PluginConfig
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return properties


def _summary(model: type[BaseModel]) -> str:
    """The first paragraph of a section's docstring."""
    return " ".join((model.__doc__ or "").split("\n\n")[0].split()) + "\n"


def _sentence(text: str) -> str:
    """As a table has it. A first word that is a value (`queue: ...`) keeps its case."""
    starts_with_value = text.split(maxsplit=1)[0].endswith(":") and text[0].islower()
    text = text if starts_with_value else text[:1].upper() + text[1:]
    return text.rstrip(".").replace("|", "\\|")


def _default(value: Any) -> str:
    """As YAML has it; "" for what the meaning tells."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if isinstance(value, (int, str)) else ""


def _words(schema: dict[str, Any]) -> str:
    """What may stand there."""
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
        return " or ".join(map(_words, kinds))
    if values := schema.get("enum"):
        return ", ".join(f"`{value}`" for value in values)
    kind = schema["type"]
    if kind in _NUMBERS:
        return _NUMBERS[kind] + _bounds(schema)
    if kind == "array":
        items = schema.get("prefixItems") or [schema["items"]] * 2
        words = ", ".join(_NUMBERS.get(item["type"], "text") for item in items)
        return f"[{words}]" if "prefixItems" in schema else f"[{words}, ...]"
    if schema.get("format") == "path":
        return "path"
    return _SIMPLE[kind]


def _bounds(schema: dict[str, Any]) -> str:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most = schema.get("maximum", MOST)
    if above is not None and schema["type"] == "integer":
        least, above = above + 1, None
    if most < MOST:
        return f", {least:g} to {most:g}" if above is None else f", above {above:g}, to {most:g}"
    if least is not None:
        return f" ≥ {least:g}"
    return "" if above is None else f" > {above:g}"
