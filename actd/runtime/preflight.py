"""Everything that is checked before the first process starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
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
    """Of each camera what it would fail with as far as that is known here, a line for each.

    Files are opened. Devices and servers are not touched: they may be another computer's, or in
    use; of them only what reads them is loaded.
    """
    for name, settings in config.cameras.items():
        try:
            camera = make_camera(name, settings)
            with closing(camera):
                if settings.kind == "file":
                    camera.open()
        except CameraError as error:
            yield str(error)
