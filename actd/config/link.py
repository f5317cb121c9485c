"""Which robot a deployment file speaks of, and where its daemon listens: all an operator needs.

A stop must not wait until a file is mended. So nothing else in the file needs to be right, and
what cannot be read is told, not raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from actd.config.reading import explain, parse_text, read_text
from actd.config.robot import RobotName
from actd.config.sections import DashboardConfig, LinkConfig
from actd.errors import ConfigError
from actd.link.sockets import Ports

_READ = ("robot", "link", '"robot"', '"link"', "'robot'", "'link'")
# Where a section begins: a key without indentation.
_SECTION = re.compile(r"^(?=[\w\"'])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Link:
    """`robot` "" and the usual `ports` where the file does not say, or not in a way that can be
    used; `problems` has a line for each of the latter.
    """

    robot: str = ""
    ports: Ports = field(default_factory=Ports)
    problems: tuple[str, ...] = ()
    dashboard_port: int = DashboardConfig.model_fields["port"].default


def link_of(path: Path) -> Link:
    """Read `robot.name` and `link`. Raises ConfigError only where no file can be read."""
    problems: list[str] = []
    text = read_text(path, errors="replace")
    try:
        data = _map(path, text)
    except ConfigError as error:
        data = _map_in_parts(path, text, problems)
        if not data and not problems:
            problems.append(str(error))
    name, ports = _name(path, data, problems), _ports(path, data, problems)
    section = data.get("dashboard")
    try:
        page = DashboardConfig.model_validate({} if section is None else section)
    except ValidationError:  # whoever only stops an arm need not know
        page = DashboardConfig()
    return Link(name, ports, tuple(problems), page.port)


def _map(path: Path, text: str) -> dict[Any, Any]:
    data = parse_text(path, text)
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a map with engine, robot and cameras")
    return data


def _map_in_parts(path: Path, text: str, problems: list[str]) -> dict[Any, Any]:
    """The two sections of a text that is not YAML as a whole, each read by itself."""
    sections: dict[Any, Any] = {}
    for part in _parts(text):
        try:
            sections |= _map(path, part)
        except ConfigError as error:
            problems.append(str(error))
    return sections


def _parts(text: str) -> Iterator[str]:
    begins = [match.start() for match in _SECTION.finditer(text)]
    for begin, end in pairwise([*begins, len(text)]):
        if text.startswith(_READ, begin):
            # The empty lines keep the numbers of the others.
            yield "\n" * text.count("\n", 0, begin) + text[begin:end]


def _name(path: Path, data: Mapping[Any, Any], problems: list[str]) -> str:
    robot = data.get("robot")
    given = robot.get("name") if isinstance(robot, Mapping) else None
    if given is None:
        problems.append(f"{path}: robot.name: missing: it says which robot is meant")
        return ""
    try:
        return TypeAdapter(RobotName).validate_python(given)
    except ValidationError as error:
        problems += [
            explain(path, data, {**item, "loc": ("robot", "name")}) for item in error.errors()
        ]
        return ""


def _ports(path: Path, data: Mapping[Any, Any], problems: list[str]) -> Ports:
    """The ports, with the usual one in place of each that cannot be used."""
    section = data.get("link")
    given = section if isinstance(section, Mapping) else {} if section is None else section
    try:
        return LinkConfig.model_validate(given).ports
    except ValidationError as error:
        errors = error.errors()
    problems += [explain(path, data, {**item, "loc": ("link", *item["loc"])}) for item in errors]
    if not isinstance(given, Mapping):
        return Ports()
    wrong = {item["loc"][0] for item in errors if item["loc"]}
    try:
        right = {key: value for key, value in given.items() if key not in wrong}
        return LinkConfig.model_validate(right).ports
    except ValidationError:
        return Ports()
