"""What the flight recorder is told: where, how much, and everything a reader must know.

The settings become run.json. With them a recording explains and replays itself without the
deployment file or the engine it was made with.
"""

from __future__ import annotations

import os
import platform
import secrets
from datetime import datetime, timezone
from typing import Any

import numpy as np

from actd import __version__, host
from actd.config import Config
from actd.engine.manifest import Manifest
from actd.flightlog import reader
from actd.runtime import settings
from actd.runtime.channels import EVENTS, Shapes, chunk_dtype, tick_dtype
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.cores import Share

_MIB = 1 << 20


def flight_job(
    config: Config, manifest: Manifest, shapes: Shapes, share: Share, *, boot: str
) -> dict[str, Any]:
    """The recorder's job for one new run, besides the rings."""
    folder = config.flight.folder or reader.default_flights()
    # Several daemons may start in the same second, and a process number may come again.
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    name = f"{stamp}-{secrets.token_hex(2)}"
    return {
        "run": str(folder / name),
        "max_bytes": config.flight.max_mb * _MIB,
        "settings": run_settings(config, manifest, shapes, share, name=name, boot=boot),
    }


def run_settings(
    config: Config, manifest: Manifest, shapes: Shapes, share: Share, *, name: str, boot: str
) -> dict[str, Any]:
    """run.json."""
    spec = manifest.policy_spec()
    return {
        "schema": reader.SCHEMA,
        "run": name,
        "actd": __version__,
        "pid": os.getpid(),
        "started_unix_s": unix_s(),
        "started_ns": now_ns(),
        "machine": {
            "node": platform.node(),
            "cpu": host.cpu()[0],
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "engine": {
            "name": manifest.engine,
            "folder": str(config.engine),
            "sha256": {file.name: file.sha256 for file in manifest.files},
        },
        "policy": spec.to_dict(),
        "robot": config.robot.name,
        "joints": list(config.robot.joints),
        "units": config.robot.units,
        "cameras": {name: list(size) for name, size in shapes.cameras.items()},
        "events": [None if event is None else event.value for event in EVENTS],
        "control": settings.control_job(config, spec),
        "tick": settings.tick_job(config, spec, share, boot),
        "dtypes": {
            "ticks": tick_dtype(shapes.action_dim, len(shapes.cameras)).descr,
            "chunks": chunk_dtype(shapes.chunk_size, shapes.action_dim).descr,
        },
    }
