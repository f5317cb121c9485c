"""Everything that is checked before the first process starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from actd.cameras.make import make_camera
from actd.config import Config, check_policy, load
from actd.engine.load import check_host
from actd.engine.manifest import Manifest, check_files, read_manifest
from actd.errors import CameraError


def prepare(path: Path) -> tuple[Config, Manifest]:
    """The deployment at `path` and its engine's manifest, fitting each other.

    Raises ConfigError (exit 78) for the file, EngineError for the engine.
    """
    config = load(path)
    manifest = read_manifest(config.engine)
    check_files(config.engine, manifest)
    check_host(config.engine, manifest)
    check_policy(config, manifest.spec, str(path))
    return config, manifest


def unplayable(config: Config) -> Iterator[str]:
    """Of each camera that is a video file what it would fail with, a line for each.

    Devices and servers are not touched: they may be another computer's, or in use.
    """
    for name, settings in config.cameras.items():
        if settings.kind != "file":
            continue
        camera = make_camera(name, settings)
        try:
            camera.open()
        except CameraError as error:
            yield str(error)
        finally:
            camera.close()
