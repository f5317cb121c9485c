"""Flights as the daemon records them: the real controller, driven through a day in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from actd.control.chunks import ActionChunk
from actd.control.controller import Controller
from actd.control.settings import ControlSettings
from actd.control.staleness import MaxAge
from actd.control.state import Event
from actd.control.tick import Inputs
from actd.flightlog.reader import Flight, Gap
from actd.flightlog.writer import FlightLogWriter
from actd.runtime.channels import EVENTS, chunk_dtype, tick_dtype
from tests.control.rig import settings
from tests.runs import START_NS, run_json

JOINTS = ("waist", "shoulder", "elbow", "gripper")
CAMERAS = {"cam_high": (480, 640), "cam_wrist": (480, 640)}
CHUNK = 50


def deployed(hz: float) -> ControlSettings:
    """What this deployment decides with."""
    n = len(JOINTS)
    common = settings(
        joints=n,
        hz=hz,
        policy_hz=hz,
        mode="temporal",
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        interpolation=("linear",) * n,
        lower=-1.0,
        upper=1.0,
        acceleration=10.0,
        kinds=("position", "position", "position", "gripper"),
        start_distance=2.0,
        follow_distance=[2.0] * (n - 1) + [np.inf],
        max_age=MaxAge(
            camera_ns=500_000_000,
            chunk_ns=1_000_000_000,
            controller_ns=500_000_000,
            frozen_ns=1_000_000_000,
        ),
        ease_in_ns=1_000_000_000,
    )
    return replace(common, joints=JOINTS)


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
    control = Controller(deployed(hz))
    period_ns = control.settings.period_ns
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
    info = run_json("20260112T093000Z-1f2e", control.settings, CAMERAS)
    return Flight(Path("flights/run"), info, ticks, chunks[:count], ())


def eventful() -> Flight:
    """Refused, armed, starved and recovered, held, armed, starved into a fault, reset, stopped."""
    told = {0: Event.ARM, 50: Event.ARM, 600: Event.HOLD, 660: Event.ARM}
    told |= {1250: Event.RESET, 1300: Event.STOP}
    return fly(28.0, commands=told, silent=[(7.0, 9.5), (18.0, 24.0)])


def record(flight: Flight, folder: Path) -> Path:
    """Write the flight to disk as the recorder does; gives the run's folder."""
    run = folder / flight.settings["name"]
    log = FlightLogWriter(run, flight.settings, 64 << 20)
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
