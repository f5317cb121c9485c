"""What run.json says of a run: everything a reader of its flight recording must know.

With it a recording explains and replays itself without the deployment file or the engine it was
made with.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from actd import __version__, host
from actd.codec import decode
from actd.control.controller import ControlSettings
from actd.control.state import Event
from actd.errors import RecordingError
from actd.flightlog.reader import RUN_FILE, SCHEMA, Flight
from actd.policy.spec import PolicySpec
from actd.runtime.channels import EVENTS, Shapes, chunk_dtype, tick_dtype
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.settings import TickSettings

if TYPE_CHECKING:
    from actd.config import Config
    from actd.engine.manifest import Manifest


@dataclass(frozen=True, slots=True)
class RunInfo:
    """run.json. `name` is its folder's too, `actd` the version that recorded it.

    `cameras`: name -> (height, width) in the order of the ticks' ages; `events`: what an event's
    number in a tick means; `dtypes`: numpy's descr of a record of each stream.
    """

    schema: int
    name: str
    actd: str
    pid: int
    started_unix_s: float
    started_ns: int
    machine: Mapping[str, Any]
    engine: Mapping[str, Any]
    policy: PolicySpec
    units: str
    cameras: Mapping[str, tuple[int, int]]
    events: tuple[Event | None, ...]
    tick: TickSettings
    control: ControlSettings
    dtypes: Mapping[str, Any]


def new_run(
    config: Config,
    manifest: Manifest,
    shapes: Shapes,
    tick: TickSettings,
    control: ControlSettings,
) -> RunInfo:
    """A run of the daemon that begins now, under a name of its own."""
    # Several daemons may start in the same second, and a process number may come again.
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return RunInfo(
        schema=SCHEMA,
        name=f"{stamp}-{secrets.token_hex(2)}",
        actd=__version__,
        pid=os.getpid(),
        started_unix_s=unix_s(),
        started_ns=now_ns(),
        machine={
            "node": platform.node(),
            "cpu": host.cpu()[0],
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        engine={
            "name": manifest.engine,
            "folder": str(config.engine),
            "sha256": {file.name: file.sha256 for file in manifest.files},
        },
        policy=manifest.spec,
        units=config.robot.units,
        cameras=shapes.cameras,
        events=EVENTS,
        tick=tick,
        control=control,
        dtypes={
            "ticks": tick_dtype(shapes.action_dim, len(shapes.cameras)).descr,
            "chunks": chunk_dtype(shapes.chunk_size, shapes.action_dim).descr,
        },
    )


def run_info(flight: Flight) -> RunInfo:
    """What a recording's run.json says. Raises RecordingError where this actd cannot read it."""
    try:
        return decode(RunInfo, flight.settings)
    except ValueError as error:
        raise RecordingError(
            f"{flight.folder / RUN_FILE}: {error}: recorded by another version of actd, which can "
            "replay it"
        ) from None
