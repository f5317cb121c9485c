"""Values that do not belong where they are put, into JSON, YAML and messages alike."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

NAN, INF = float("nan"), float("inf")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, -0.0, 0.5, 1e-320, 1e308, -1e308, NAN, INF, -INF),
    *(2**31, 2**63, -(2**63), 10**19, 10**40, 10**400),
    *("", " ", "x", "x" * 5000, "\ud800", "é\u2028\n\x00", "../../../etc/passwd", "/", "nan"),
    *("1e5", "2001-01-01", "%s{0}{x}", "\x1b[31m", "act", "v3.0"),
    *([], [None], [[]], [1, 2, 3], ["a"], [0] * 3000, {}, {"a": 1}, {"": None}),
)
DEEP = "\u0001deep\u0001"


def spoiled(value: Any, chance: random.Random) -> Any:
    """A copy of `value`, maps and lists in maps and lists, with one to three things wrong."""
    top = [copy.deepcopy(value)]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        holder, key = chance.choice(list(_places(top)))
        _spoil(holder, key, chance)
    return top[0]


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    # Of a long list a few will do.
    chosen = list(keys)[:40]
    return [(value, key) for key in chosen] + [p for key in chosen for p in _places(value[key])]


def _spoil(holder: Any, key: Any, chance: random.Random) -> None:
    value = holder[key]
    how = chance.randrange(12)
    if how == 0 and isinstance(holder, dict):
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[chance.choice((f"{key}s", str(key).upper(), "", f" {key}"))] = holder.pop(key)
    elif how == 2:
        holder[key] = chance.choice(([value], {"value": value}, str(value), [value, value]))
    elif how == 3 and isinstance(value, list) and value:
        holder[key] = chance.choice((value[:-1], value[::-1], value * 2, value[:1] * len(value)))
    elif how == 4 and isinstance(value, (int, float)) and abs(value) < 1e300:
        holder[key] = chance.choice((-value, value + 1, value * 1000, float(value), value / 7))
    elif how == 5:
        other, where = chance.choice(_places([holder]))
        holder[key] = copy.deepcopy(other[where])
    elif how == 6 and chance.random() < 0.3:
        holder[key] = DEEP
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))


def as_json(value: Any) -> str:
    """The text, with a very deep list wherever DEEP is."""
    text = json.dumps(value, indent=1)
    return text.replace(json.dumps(DEEP), "[" * 20_000 + "]" * 20_000)


def as_yaml(value: Any) -> str:
    """The same for a reader of YAML."""
    text = json.dumps(value).replace(json.dumps(DEEP), "[" * 500 + "]" * 500)
    return text.replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")
