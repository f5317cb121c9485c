"""The one description of a deployment: actd.yaml.

Read with every mistake reported at once, each with file, line, key path and what to do;
paths in it are relative to the file. Raises ConfigError and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from actd.cameras.config import CameraConfig
from actd.config.sections import SECTIONS, Config, JointConfig
from actd.errors import ConfigError
from actd.policy.spec import PolicySpec

__all__ = ["Config", "JointConfig", "check_policy", "load"]


def load(path: Path) -> Config:
    """Read and check a deployment file. Raises ConfigError with one line per mistake."""
    data = _parse(path)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        lines = [_explain(path, data, item) for item in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    cameras = {name: _anchored(path, camera) for name, camera in config.cameras.items()}
    update: dict[str, Any] = {"engine": _relative_to(path, config.engine), "cameras": cameras}
    if config.flight.folder is not None:
        folder = _relative_to(path, config.flight.folder)
        update["flight"] = config.flight.model_copy(update={"folder": folder})
    return config.model_copy(update=update)


def check_policy(config: Config, spec: PolicySpec, where: str) -> None:
    """Refuse a deployment that does not fit its engine. Raises ConfigError, all at once."""
    problems = list(_mismatches(config, spec))
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))


def _mismatches(config: Config, spec: PolicySpec) -> Iterator[str]:
    trained = {feature.camera: feature for feature in spec.cameras}
    for name in trained.keys() - config.cameras.keys():
        yield f"cameras.{name}: missing; the policy was trained with {', '.join(trained)}"
    for name in config.cameras.keys() - trained.keys():
        hint = difflib.get_close_matches(name, trained, 1)
        yield (
            f"cameras.{name}: the policy has no such camera (it has {', '.join(trained) or 'none'})"
            + (f": did you mean {hint[0]}?" if hint else ": remove it")
        )
    for name in trained.keys() & config.cameras.keys():
        height, width, _ = trained[name].boundary_shape
        size = _frame_size(config.cameras[name])
        if size is not None and size != (width, height):
            yield (
                f"cameras.{name}: gives {size[0]}x{size[1]}, the policy was trained on "
                f"{width}x{height}: set width and height to that, "
                f"or add resize: [{width}, {height}]"
            )
    joints = len(config.robot.joints)
    if joints != spec.action_dim:
        yield f"robot.joints: {joints} joints listed, the policy commands {spec.action_dim}"
    states = {f.key: f.shape[0] for f in spec.vectors if f.kind == "STATE"}
    for key, size_wanted in states.items():
        if len(config.robot.state_names) != size_wanted:
            yield (
                f"robot.state: {len(config.robot.state_names)} names for {key}, "
                f"the policy takes {size_wanted}"
            )
    steps = config.control.n_action_steps
    if steps is not None and steps > spec.chunk_size:
        yield f"control.n_action_steps: {steps} is more than the chunk's {spec.chunk_size} rows"


def _frame_size(camera: CameraConfig) -> tuple[int, int] | None:
    """(width, height) of the frames this camera will give, if the file says so."""
    if camera.resize is not None:
        return camera.resize
    if camera.width is None or camera.height is None:
        return None
    return camera.width, camera.height


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file: write one with `actd init CHECKPOINT`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{at}: not YAML: {error.problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a map with engine, robot and cameras")
    return data


def _relative_to(path: Path, target: Path) -> Path:
    return target if target.is_absolute() else path.parent / target.expanduser()


def _anchored(path: Path, camera: CameraConfig) -> CameraConfig:
    if camera.kind != "file":
        return camera
    source = _relative_to(path, Path(camera.path))
    return camera.model_copy(update={"index_or_path": str(source)})


def _explain(path: Path, data: Any, item: Any) -> str:
    # pydantic adds the names of union members to the location; only real keys help a reader.
    keys = list(_real_keys(data, item["loc"]))
    line, column = _position(data, keys)
    key = ".".join(str(k) for k in keys) or "(whole file)"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key" + _did_you_mean(keys)
    elif item["type"] == "missing":
        key = ".".join([*map(str, keys), str(item["loc"][-1])])
        message = "missing"
    elif "input" in item and isinstance(item["input"], (str, int, float, bool)):
        message = f"{message[0].lower()}{message[1:]}, found {item['input']!r}"
    return f"{path}:{line}:{column} {key}: {message}"


def _real_keys(data: Any, location: tuple[Any, ...]) -> Iterator[Any]:
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            continue
        yield part


def _position(data: Any, keys: list[Any]) -> tuple[int, int]:
    line, column = 1, 1
    for key in keys:
        marks = getattr(data, "lc", None)
        if marks is not None and key in (marks.data or {}):
            mark = marks.data[key]
            line, column = mark[0] + 1, mark[1] + 1
        data = data[key]
    return line, column


def _did_you_mean(keys: list[Any]) -> str:
    known = _known_keys(keys[:-1])
    close = difflib.get_close_matches(str(keys[-1]), known, 1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(sorted(known))})"


def _known_keys(parents: list[Any]) -> list[str]:
    """Field names of the section at `parents`; a map's values are its section."""
    model: type[BaseModel] | None = Config
    for key in parents:
        if model is None:
            return []
        if key in model.model_fields:
            model = SECTIONS.get((model, str(key)), model)
    return list(model.model_fields) if model else []
