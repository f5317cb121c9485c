"""What the numbers of a vector are called, as LeRobot's files say it.

Pure: takes the description of a feature (dtype, shape, names). LeRobot counts a vector by its
shape and never reads its names, so datasets hold them in many forms, and some do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Words in a name, between dots and underscores.
_WORD = r"(?:^|[._ ])(?:{})(?:[._ ]|$)"
_SPEED = re.compile(_WORD.format("vel|velocity|speed"))
_UNSUPPORTED = {
    "relative actions": re.compile(
        _WORD.format("delta|rel|relative|d(?:x|y|z|rx|ry|rz|roll|pitch|yaw)")
    ),
    "torques": re.compile(_WORD.format("torque|effort")),
}


def element_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """A name for each number of a vector, or none where the names are not one for each.

    Takes a list, lists in lists, lists under headings (`{"motors": [...]}`), and a map from name
    to index.
    """
    names = tuple(_flat(feature.get("names")))
    return names if len(names) == element_count(feature) else ()


def element_count(feature: Mapping[str, Any]) -> int:
    """How many numbers the vector has; 0 for what has no shape."""
    shape = feature.get("shape")
    if not isinstance(shape, (list, tuple)) or len(shape) != 1 or not isinstance(shape[0], int):
        return 0
    return shape[0]


def unfit_names(feature: Mapping[str, Any]) -> str:
    """A sentence about names that are not one for each number, "" where there is no such thing."""
    named, count = len(tuple(_flat(feature.get("names")))), element_count(feature)
    if not named or named == count:
        return ""
    return f"{named} names for {count} values, so they are numbered"


def is_speed(name: str) -> bool:
    """Whether a number is a speed by its name."""
    return _SPEED.search(name.lower()) is not None


def unsupported_actions(names: Iterable[str]) -> str:
    """A sentence about actions that are no places or speeds by their names, "" where none is."""
    every = tuple(names)
    kinds = {
        kind: ", ".join(name for name in every if pattern.search(name.lower()))
        for kind, pattern in _UNSUPPORTED.items()
    }
    return unsupported(*(f"{kind} ({members})" for kind, members in kinds.items() if members))


def unsupported(*kinds: str) -> str:
    """The sentence about `kinds` of actions, "" without any."""
    if not kinds:
        return ""
    return (
        "actd commands absolute positions that the robot also measures; "
        f"{' and '.join(kinds)} are not supported"
    )


def _flat(names: object) -> Iterator[str]:
    if isinstance(names, Mapping):
        if names and all(isinstance(index, int) for index in names.values()):
            yield from (str(name) for name, _ in sorted(names.items(), key=lambda item: item[1]))
            return
        names = list(names.values())
    if isinstance(names, (list, tuple)):
        for name in names:
            yield from _flat(name) if isinstance(name, (list, tuple, Mapping)) else (str(name),)
