"""Everything that is checked before the first process starts."""

from __future__ import annotations

from pathlib import Path

from actd.config import Config, check_policy, load
from actd.engine.manifest import Manifest, check_files, read_manifest


def prepare(path: Path) -> tuple[Config, Manifest]:
    """The deployment at `path` and its engine's manifest, fitting each other.

    Raises ConfigError (exit 78) for the file, EngineError for the engine.
    """
    config = load(path)
    manifest = read_manifest(config.engine)
    check_files(config.engine, manifest)
    check_policy(config, manifest.spec, str(path))
    return config, manifest
