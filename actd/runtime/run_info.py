"""What run.json says of a run: everything a reader of its flight recording must know.

With it a recording explains and replays itself without the deployment file or the engine it was
made with.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actd import __version__, host
from actd.codec import decode
from actd.control.settings import ControlSettings
from actd.control.state import Event
from actd.errors import RecordingError
from actd.flightlog.reader import RUN_FILE, SCHEMA, Flight
from actd.mode import Mode
from actd.policy.spec import PolicySpec
from actd.runtime.channels import EVENTS, Shapes, chunk_dtype, tick_dtype
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.settings import TickSettings

if TYPE_CHECKING:
    from actd.config import Config
    from actd.engine.manifest import Manifest

_LARGEST = 1e12


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


def described_run(settings: Mapping[str, Any], run: Path) -> RunInfo:
    """What the run.json in the folder `run` says. Raises RecordingError where it is damaged."""
    with _as_recorded(run):
        info = decode(RunInfo, settings)
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", info.name):
            raise ValueError(f"name: {info.name!r:.60}")
        if not 0 <= info.started_unix_s < 1e11:
            raise ValueError(f"started_unix_s: {info.started_unix_s}")
    return info


def run_info(flight: Flight) -> RunInfo:
    """What a recording's run.json says. Raises RecordingError where that, or a tick, is damaged."""
    info = described_run(flight.settings, flight.folder)
    with _as_recorded(flight.folder):
        shapes = (len(info.control.joints), len(info.cameras))
        dtypes = {
            "ticks": (flight.ticks.dtype, tick_dtype(*shapes)),
            "chunks": (flight.chunks.dtype, chunk_dtype(info.control.chunk.chunk_size, shapes[0])),
        }
        for stream, (recorded, dtype) in dtypes.items():
            if lacking := _fields(dtype) - _fields(recorded):
                names = ", ".join(sorted(name for name, _ in lacking))
                raise ValueError(f"its {stream} lack {names}, or have other ones")
    _check_records(flight, len(info.events))
    return info


@contextmanager
def _as_recorded(run: Path) -> Iterator[None]:
    """Around the use of a run.json: one that is not as we write it is a RecordingError."""
    try:
        yield
    except ValueError as error:
        raise RecordingError(
            f"{run / RUN_FILE}: damaged, or recorded by another version of actd ({error}); name "
            "a run of this version, or read this one with the actd that recorded it"
        ) from None


def _fields(dtype: np.dtype[np.void]) -> set[tuple[str, np.dtype[Any]]]:
    return {(name, dtype[name]) for name in dtype.names or ()}


def _check_records(flight: Flight, events: int) -> None:
    ticks = flight.ticks
    damaged = _excessive(ticks["positions"]) | _excessive(ticks["action"])
    damaged |= _excessive(ticks["leader"])
    damaged |= ~np.isin(ticks["mode"], [int(mode) for mode in Mode])
    damaged |= (ticks["events"] >= events).any(axis=1)
    damaged |= np.diff(ticks["number"], prepend=0) < 1
    damaged |= np.diff(ticks["due_ns"], prepend=0) < 1
    for stream, where in {"ticks": damaged, "chunks": _excessive(flight.chunks["actions"])}.items():
        if where.any():
            number = int(np.flatnonzero(where)[0])
            raise RecordingError(
                f"{flight.folder}: record {number} of the {stream} is damaged; copy the recording "
                "again"
            )


def _excessive(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which records hold a number that no joint can be told; NaN stands for none."""
    excessive: NDArray[np.bool_] = np.any(
        np.abs(values) > _LARGEST, axis=tuple(range(1, values.ndim))
    )
    return excessive
