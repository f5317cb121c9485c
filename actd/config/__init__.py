"""The one description of a deployment: actd.yaml.

Read with every mistake reported at once, each with file, line, key path and what to do;
paths in it are relative to the file. Raises ConfigError and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from actd.cameras.config import CameraConfig
from actd.config.checks import misfits
from actd.config.difference import changed_keys
from actd.config.fit import check_policy, fit_warnings, warnings
from actd.config.link import Link, link_of
from actd.config.reading import explain, line_of, parse
from actd.config.robot import Joint, JointConfig, kind_named
from actd.config.sections import Config
from actd.errors import ConfigError

__all__ = [
    "Config",
    "Joint",
    "JointConfig",
    "Link",
    "changed_keys",
    "check_policy",
    "fit_warnings",
    "kind_named",
    "link_of",
    "load",
    "warnings",
]


def load(path: Path) -> Config:
    """Read and check a deployment file. Raises ConfigError with one line per mistake."""
    data = parse(path)
    lines: list[str] = []
    config: Config | None = None
    try:
        config = Config.model_validate(data)
        sections: Mapping[str, Any] = dict(config)
    except ValidationError as error:
        lines += [explain(path, data, item) for item in error.errors()]
        sections = dict(_right_sections(data))
    lines += [line_of(path, data, problem.keys, problem.text) for problem in misfits(sections)]
    if config is None or lines:
        raise ConfigError("\n".join(lines))
    return _anchored(path, config)


def _right_sections(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The sections that are right in themselves, by name; those left out are."""
    for name, field in Config.model_fields.items():
        try:
            if name in data:
                kind: Any = field.annotation
                yield name, TypeAdapter(kind).validate_python(data[name])
            elif not field.is_required():
                yield name, field.get_default(call_default_factory=True)
        except ValidationError:
            continue


def _anchored(path: Path, config: Config) -> Config:
    """The same with every path relative to the file's folder."""
    cameras = {name: _anchored_camera(path, camera) for name, camera in config.cameras.items()}
    update: dict[str, Any] = {"engine": _relative_to(path, config.engine), "cameras": cameras}
    if config.flight.folder is not None:
        folder = _relative_to(path, config.flight.folder)
        update["flight"] = config.flight.model_copy(update={"folder": folder})
    return config.model_copy(update=update)


def _anchored_camera(path: Path, camera: CameraConfig) -> CameraConfig:
    if camera.kind != "file":
        return camera
    source = _relative_to(path, Path(camera.path))
    return camera.model_copy(update={"index_or_path": str(source)})


def _relative_to(path: Path, target: Path) -> Path:
    return target if target.is_absolute() else path.parent / target.expanduser()
