"""A flight recording as an MCAP file, for Foxglove, Rerun and whatever else reads that format.

Takes a Flight; raises RecordingError for one without a tick, UsageError where the file cannot go,
ActdError where the disk is full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from actd.errors import RecordingError, UsageError, unwritable
from actd.flightlog.reader import RUN_FILE, Flight
from actd.mode import Mode
from actd.replay.timeline import moments
from actd.runtime.run_info import RunInfo, run_info
from actd.viewers.foxglove import McapFile
from actd.viewers.sink import ACTION, AGES, STATE, TICK

_BLOCK = 5000
Progress = Callable[[int, int], object]


def write_mcap(flight: Flight, path: Path, progress: Progress) -> None:
    """Write the recording's ticks and events to a new file; `progress` gets ticks done and all."""
    if not len(flight.ticks):
        raise RecordingError(f"{flight.folder}: no tick was recorded")
    info = run_info(flight)
    about = {
        "run": info.name,
        "actd": info.actd,
        "robot": info.tick.robot,
        "units": info.units,
        "engine": str(info.engine.get("name", "")),
    }
    if path.exists():
        raise UsageError(f"{path}: exists; remove it, or give another --out")
    draft = path.with_name(f"{path.name}.partial")
    try:
        file = McapFile(draft, about)
        try:
            file.attach(
                RUN_FILE, (flight.folder / RUN_FILE).read_bytes(), _unix_ns(info, info.started_ns)
            )
            _write(flight, info, file, progress)
        finally:
            file.close()
        draft.rename(path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        draft.unlink(missing_ok=True)


def _write(flight: Flight, info: RunInfo, file: McapFile, progress: Progress) -> None:
    joints, cameras = info.control.joints, tuple(info.cameras)
    infer_ms = dict(
        zip(
            flight.chunks["number"].tolist(),
            (flight.chunks["infer_ns"] / 1e6).tolist(),
            strict=True,
        )
    )
    happened = {moment.due_ns: moment.text for moment in moments(flight.ticks, info.events)}
    total = len(flight.ticks)
    for begin in range(0, total, _BLOCK):
        for tick in _rows(flight.ticks[begin : begin + _BLOCK]):
            t_ns = _unix_ns(info, tick["sent_ns"])
            if tick["due_ns"] in happened:
                file.event(Mode(tick["mode"]), happened[tick["due_ns"]], t_ns)
            for topic, values in (
                (ACTION, zip(joints, tick["action"], strict=True)),
                (STATE, zip(joints, tick["positions"], strict=True)),
                (AGES, _ages(tick, cameras)),
                (TICK, _tick(tick, infer_ms)),
            ):
                known = {name: value for name, value in values if math.isfinite(value)}
                if known:
                    file.numbers(topic, known, t_ns)
        file.check()
        progress(min(begin + _BLOCK, total), total)


def _rows(ticks: NDArray[Any]) -> Iterator[dict[str, Any]]:
    """Each record as plain numbers by name: ten times faster than one record after the other."""
    names = ticks.dtype.names or ()
    for values in zip(*(ticks[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _ages(tick: Mapping[str, Any], cameras: Sequence[str]) -> Iterator[tuple[str, float]]:
    """What is known of the streams' ages, in ms."""
    ages_ns = zip(
        ("robot_state", *cameras), (tick["state_age_ns"], *tick["camera_ages_ns"]), strict=True
    )
    return ((name, age_ns / 1e6) for name, age_ns in ages_ns if age_ns >= 0)


def _tick(tick: Mapping[str, Any], infer_ms: Mapping[int, float]) -> Iterator[tuple[str, float]]:
    """The tick under the names that its message has on the wire, and its work."""
    yield "mode", tick["mode"]
    yield "chunk", tick["chunk"]
    yield "n", tick["n"]
    yield "flags", tick["flags"]
    yield "late_us", tick["late_ns"] / 1e3
    yield "work_us", (tick["sent_ns"] - tick["wake_ns"]) / 1e3
    if tick["chunk_age_ns"] >= 0:
        yield "age_ms", tick["chunk_age_ns"] / 1e6
    if tick["newest_chunk"] in infer_ms:
        yield "infer_ms", infer_ms[tick["newest_chunk"]]


def _unix_ns(info: RunInfo, t_ns: int) -> int:
    """A time of the daemon's clock as Unix time."""
    return round(info.started_unix_s * 1e9) + t_ns - info.started_ns
