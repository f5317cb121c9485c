"""Flights as the daemon records them: the real controller, driven through a day in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actd.control.chunks import ActionChunk
from actd.control.controller import Controller
from actd.control.state import Event
from actd.control.tick import Inputs
from actd.flightlog.reader import Flight, Gap
from actd.flightlog.writer import FlightLogWriter
from actd.runtime.channels import EVENTS, chunk_dtype, tick_dtype
from actd.runtime.settings import control_settings

JOINTS = ["waist", "shoulder", "elbow", "gripper"]
CAMERAS = {"cam_high": [480, 640], "cam_wrist": [480, 640]}
CHUNK = 50
START_NS = 7_000_000_000_000


def settings(hz: float) -> dict[str, Any]:
    """run.json of this deployment."""
    n = len(JOINTS)
    period_ns = round(1e9 / hz)
    return {
        "schema": 1,
        "run": "20260112T093000Z-1f2e",
        "actd": "0.1.0",
        "started_unix_s": 1768210200.0,
        "started_ns": START_NS,
        "machine": {"node": "robot", "cpu": "A <fast> CPU & more", "cores": 2},
        "engine": {"name": "ort-int8", "folder": "/engines/cup", "sha256": {"policy.onnx": "ab12"}},
        "joints": JOINTS,
        "units": "rad",
        "cameras": CAMERAS,
        "events": [None if event is None else event.value for event in EVENTS],
        "control": {
            "joints": JOINTS,
            "kinds": ["position"] * (n - 1) + ["gripper"],
            "period_ns": period_ns,
            "ttl_ns": 100_000_000,
            "chunk": {
                "mode": "temporal",
                "policy_hz": hz,
                "chunk_size": CHUNK,
                "action_dim": n,
                "n_action_steps": CHUNK,
                "temporal_coeff": 0.01,
                "crossfade_ns": 200_000_000,
                "interpolation": ["linear"] * n,
            },
            "limits": {
                "lower": [-1.0] * n,
                "upper": [1.0] * n,
                "velocity": [1.5] * n,
                "acceleration": [10.0] * n,
            },
            "turn": [0.0] * n,
            "start_distance": [2.0] * n,
            "follow_distance": [2.0] * (n - 1) + ["inf"],
            "follow_ns": 200_000_000,
            "trained_low": ["-inf"] * n,
            "trained_high": ["inf"] * n,
            "max_age": {
                "state_ns": 200_000_000,
                "camera_ns": 500_000_000,
                "chunk_ns": 1_000_000_000,
                "controller_ns": 500_000_000,
                "frozen_ns": 1_000_000_000,
                "fault_after_ns": 2_000_000_000,
            },
            "ease_in_ns": 1_000_000_000,
        },
        "tick": {"period_ns": period_ns, "realtime": "prefer", "cores": [1], "host": "127.0.0.1"},
    }


def wanted(t_s: np.ndarray) -> np.ndarray:
    """(n, joints): what the policy wants when; the shoulder wants more than it may."""
    slow = 2 * np.pi * 0.2 * t_s
    columns = (0.5 * np.sin(slow), 1.2 * np.sin(slow), 0.4 * np.cos(2 * slow), np.sin(slow) > 0)
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=1)


def fly(
    seconds: float,
    *,
    hz: float = 50.0,
    commands: Mapping[int, Event] | None = None,
    silent: Sequence[tuple[float, float]] = (),
) -> Flight:
    """A flight of this length. `commands` at tick numbers; no chunk arrives in `silent` seconds."""
    told = dict(commands or {})
    job = settings(hz)
    control = Controller(control_settings(job["control"]))
    period_ns = job["tick"]["period_ns"]
    rng = np.random.default_rng(7)
    n = max(1, round(seconds * hz))
    ticks = np.zeros(n, [("number", "<u8"), *tick_dtype(len(JOINTS), len(CAMERAS)).descr])
    chunks = np.zeros(n, [("number", "<u8"), *chunk_dtype(CHUNK, len(JOINTS)).descr])
    positions, count = np.zeros(len(JOINTS)), 0
    for k in range(n):
        due_ns = START_NS + k * period_ns
        t_s = k * period_ns / 1e9
        new: tuple[ActionChunk, ...] = ()
        if k % 2 == 1 and not any(start <= t_s < end for start, end in silent):
            rows = wanted(t_s - 0.06 + np.arange(CHUNK) / hz)
            record = chunks[count]
            count += 1
            infer_ns = round(rng.normal(35e6, 2e6))
            record["number"] = count
            record["t_observation_ns"] = due_ns - 60_000_000
            record["started_ns"] = due_ns - 50_000_000
            record["infer_ns"], record["skew_ns"] = infer_ns, rng.integers(0, 15_000_000)
            record["actions"] = rows
            new = (ActionChunk(count, due_ns - 60_000_000, rows),)
        events = ((1, told[k]),) if k in told else ()
        ages = {name: int(rng.integers(2, 35)) * 1_000_000 for name in CAMERAS}
        out = control.tick(
            Inputs(
                due_ns,
                positions,
                4_000_000,
                ages,
                dict.fromkeys(CAMERAS, 0),
                0,
                chunks=new,
                commands=events,
            )
        )
        tick = ticks[k]
        tick["number"] = tick["seq"] = k + 1
        late_ns = int(rng.gamma(3.0, 25_000)) + (8_000_000 if k % 997 == 996 else 0)
        tick["due_ns"], tick["wake_ns"], tick["late_ns"] = due_ns, due_ns + late_ns, late_ns
        tick["sent_ns"] = due_ns + late_ns + int(rng.normal(90_000, 8_000))
        tick["mode"], tick["n"], tick["flags"] = int(out.mode), out.n, out.flags
        tick["chunk"], tick["newest_chunk"] = out.chunk, count
        tick["chunk_age_ns"] = -1 if out.chunk_age_ns is None else out.chunk_age_ns
        for place, (number, event) in enumerate(events):
            tick["events"][place], tick["commands"][place] = EVENTS.index(event), number
        tick["state_age_ns"], tick["camera_ages_ns"] = 4_000_000, list(ages.values())
        tick["positions"], tick["action"] = positions, np.nan if out.action is None else out.action
        if out.action is not None:
            positions = (
                positions + 0.35 * (out.action - positions) + rng.normal(0, 1e-3, len(JOINTS))
            )
    return Flight(Path("flights/run"), job, ticks, chunks[:count], ())


def eventful() -> Flight:
    """Refused, armed, starved and recovered, held, armed, starved into a fault, reset, stopped."""
    told = {0: Event.ARM, 50: Event.ARM, 600: Event.HOLD, 660: Event.ARM}
    told |= {1250: Event.RESET, 1300: Event.STOP}
    return fly(28.0, commands=told, silent=[(7.0, 9.5), (18.0, 24.0)])


def record(flight: Flight, folder: Path) -> Path:
    """Write the flight to disk as the recorder does; gives the run's folder."""
    run = folder / flight.settings["run"]
    # The number of a record is the log's own.
    dtypes = {"ticks": flight.ticks.dtype.descr[1:], "chunks": flight.chunks.dtype.descr[1:]}
    log = FlightLogWriter(run, {**flight.settings, "dtypes": dtypes}, 64 << 20)
    log.begin()
    for stream, records in (("ticks", flight.ticks), ("chunks", flight.chunks)):
        for one in records:
            log.append(stream, int(one["number"]), one.tobytes()[8:])
    log.close()
    return run


def with_hole(flight: Flight, first: int, count: int) -> Flight:
    """The flight without `count` ticks from index `first` on."""
    ticks = np.delete(flight.ticks, slice(first, first + count))
    gap = Gap("ticks", int(flight.ticks["number"][first]), count)
    return Flight(flight.folder, flight.settings, ticks, flight.chunks, (gap,))
