"""Whether an arm is the one that the daemon was configured for: names, order and units.

Pure. Takes the daemon's `hello` and what the arm says of its joints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from actd.drive.arm import Joints

DEGREES, RADIANS, NORMALIZED, PERCENT = "degrees", "radians", "-100 to 100", "0 to 100"

_UNITS = {
    r"^\s*rad": RADIANS,
    r"^\s*deg": DEGREES,
    r"-\s*100|normali[sz]ed": NORMALIZED,
}
_REMEDY = (
    "name the joints of actd.yaml as the robot does, in the order of the training data, and set "
    "the robot to the units of the training data"
)


def unit_named(text: str) -> str:
    """The unit of the arm's joints by what `robot.units` says; "" where that says none of ours."""
    return next((unit for rule, unit in _UNITS.items() if re.search(rule, text.lower())), "")


_LEADER_REMEDY = (
    "connect a leader with the joints of the robot, in its units: those of the training data"
)


def leader_disagreement(hello: Mapping[str, Any], joints: Joints) -> str:
    """As `disagreement`, for a leader: its places are commands, and sent by name."""
    rows = _rows(hello["joints"], joints.measured, hello["units"], joints.units, who="leader")
    if not any(note for _, _, note in rows):
        return ""
    table = _table(rows, "the leader")
    return "\n".join([*table, f"joints: actd and the leader do not agree; {_LEADER_REMEDY}"])


def disagreement(hello: Mapping[str, Any], joints: Joints, *, any_order: bool = False) -> str:
    """A table of what differs and what to do about it; "" where the arm fits.

    any_order: the same names in another order are no difference.
    """
    ordered = joints.ordered and not any_order
    actions, state = tuple(hello["joints"]), tuple(hello["state"])
    rows = []
    if joints.commanded is not None:
        rows = _rows(actions, joints.commanded, hello["units"], joints.units, ordered=ordered)
    if joints.commanded is None or (state, joints.measured) != (actions, joints.commanded):
        # A robot may measure more than the policy looks at.
        looked_at = [name for name in joints.measured if name in state]
        others = [name for name in joints.measured if name not in state]
        fitting = set(looked_at) == set(state)
        measured = tuple(looked_at if fitting else [*looked_at, *others])
        rows += _rows(state, measured, hello["units"], joints.units, ordered=ordered)
    if not any(note for _, _, note in rows):
        return ""
    only_order = {note for _, _, note in rows} <= {"", _ORDER}
    remedy = f"{_REMEDY}; where actd.yaml has it right: --any-order" if only_order else _REMEDY
    return "\n".join([*_table(rows), f"joints: actd and the robot do not agree; {remedy}"])


_ORDER = "another place"
_Row = tuple[str, str, str]


def _rows(
    expected: Sequence[str],
    actual: Sequence[str],
    units: str,
    robot_units: Mapping[str, str],
    *,
    ordered: bool = False,
    who: str = "robot",
) -> list[_Row]:
    """(the daemon's name, the robot's, what is wrong), joint by joint."""
    if set(expected) == set(actual) and not ordered:
        actual = expected
    rows = []
    for ours, theirs in zip_longest(expected, actual, fillvalue=""):
        notes = []
        if ours and ours not in actual:
            notes.append(f"the {who} has no {ours}")
        if theirs and theirs not in expected:
            notes.append(f"actd has no {theirs}")
        if not notes and ours != theirs:
            notes.append(_ORDER)
        if ours in actual:
            notes += _unit_note(units, robot_units.get(ours, ""), who)
        rows.append((ours, theirs, ", ".join(notes)))
    return rows


def _unit_note(text: str, robot_unit: str, who: str) -> list[str]:
    unit = unit_named(text)
    # A gripper of 0 to 100 goes with joints in any unit.
    if not unit or robot_unit in ("", PERCENT, unit):
        return []
    return [f"actd has {unit}, the {who} {robot_unit}"]


def _table(rows: Sequence[_Row], who: str = "the robot") -> list[str]:
    cells = [("", "actd", who, ""), *((str(n), *row) for n, row in enumerate(rows, 1))]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
