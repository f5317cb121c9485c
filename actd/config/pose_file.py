"""Writing a pose into actd.yaml: its lines only, and only if the whole file is right with them.

Raises ConfigError, UsageError and LinkError; the file is then as it was.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actd.config import load
from actd.config.reading import parse_text, read_text
from actd.config.sections import Config, PosesConfig
from actd.config.writing import plain
from actd.errors import ConfigError, LinkError, UsageError

_NAMES = tuple(PosesConfig.model_fields)
_INDENT = 2


def check_name(name: str) -> None:
    """Raise UsageError where there is no pose of this name."""
    if name not in _NAMES:
        raise UsageError(f"NAME: found {name!r:.60}; poses are {' and '.join(_NAMES)}")


def measured_pose(
    config: Config, positions: Mapping[str, float], age_ms: float | None
) -> dict[str, float]:
    """A pose of the daemon's `positions`, measured `age_ms` ago (None: never).

    Raises LinkError where they are too old, or not of the file's joints.
    """
    limit_ms = config.staleness.state_ms
    if age_ms is None or age_ms > limit_ms:
        age = "nothing yet" if age_ms is None else f"{age_ms:.0f} ms old"
        raise LinkError(f"robot state: {age} (limit {limit_ms:g} ms); start the robot's controller")
    if list(positions) != list(config.robot.joints):
        raise LinkError(
            f"robot.joints: the daemon has {', '.join(positions)}; it was started with another "
            "file: give its --config"
        )
    moved = (joint.name for joint in config.joints if joint.kind != "velocity")
    return {name: float(f"{positions[name]:.6g}") for name in moved}


def save_pose(path: Path, name: str, pose: Mapping[str, float]) -> None:
    """Write `pose` as `poses.NAME` of a deployment file; all else in it stays as it is."""
    path = path.resolve()  # a link stays one
    text = read_text(path)
    before = parse_text(path, text)
    new_text = _with_pose(text, before, name, pose)
    expected = {**before, "poses": {**(before.get("poses") or {}), name: dict(pose)}}
    if not _says(path, new_text, expected):
        # Layouts are legion (a map in braces, an anchor): such a file is left to its author.
        raise ConfigError(
            f"{path}: poses.{name}: cannot be written into a file of this layout; add it yourself: "
            f"{name}: {json.dumps(dict(pose), ensure_ascii=False)}"
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".actd-pose-", dir=path.parent) as scratch:
            new = Path(scratch) / path.name
            new.write_text(new_text, encoding="utf-8")
            shutil.copymode(path, new)
            load(new)
            new.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); make it so") from None
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(new), str(path))) from None


def _says(path: Path, text: str, data: Any) -> bool:
    try:
        return bool(parse_text(path, text) == data)
    except ConfigError:
        return False


def _with_pose(text: str, data: Any, name: str, pose: Mapping[str, float]) -> str:
    """The text with the pose in place of the one that it has, else where poses are."""
    old = text.splitlines(keepends=True)
    if "poses" not in data:
        end = "" if text.endswith("\n") else "\n"
        return "".join([text, end, "\n", "poses:\n", *_lines(name, pose, _INDENT)])
    section, begin = data["poses"], data.lc.key("poses")[0]
    if not section:
        return "".join([*old[:begin], "poses:\n", *_lines(name, pose, _INDENT), *old[begin + 1 :]])
    column = section.lc.key(next(iter(section)))[1]
    begin += 1
    end = begin
    if name in section:
        begin = section.lc.key(name)[0]
        end = begin + 1
        while end < len(old) and _is_deeper(old[end], column):
            end += 1
    return "".join([*old[:begin], *_lines(name, pose, column), *old[end:]])


def _is_deeper(line: str, column: int) -> bool:
    """Whether a line is a part of the value of the key that stands in this column."""
    content = line.lstrip(" ")
    if not content.strip() or content.startswith("#"):
        return False
    return len(line) - len(content) > column


def _lines(name: str, pose: Mapping[str, float], column: int) -> list[str]:
    inner = " " * (column + _INDENT)
    values = [f"{inner}{plain(joint)}: {value!r}\n" for joint, value in pose.items()]
    return [f"{' ' * column}{name}:\n", *values]
