"""The inference process: newest frames and state in, one plan out, over and over.

Loads and warms the engine, then makes a plan whenever a camera has a new frame and every
stream is fresh enough. A stale stream makes no plan, says which one, and the tick process
sees the plans grow old. Warm-up runs are never published. It is niced: the tick
process goes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from actd.control.staleness import complaint, is_stale
from actd.engine.base import Engine
from actd.engine.load import load_engine
from actd.policy.spec import PolicySpec
from actd.runtime import child
from actd.runtime.blocks import Blocks, Shapes, open_blocks
from actd.runtime.clock import now_ns

_POLL_S = 0.001
_WARM_UP_RUNS = 3


def run(job: Mapping[str, Any]) -> None:
    """Make plans until the process is ended."""
    os.setpriority(os.PRIO_PROCESS, 0, job["nice"])
    child.report(state="loading")
    engine = load_engine(Path(job["engine"]), threads=job["threads"])
    blocks = open_blocks(Shapes(**job["shapes"]), job["fds"])
    for _ in range(_WARM_UP_RUNS):
        engine.infer(_blank(engine.spec))
    child.report(state="warm")
    limits = Limits(job["camera_max_age_ns"], job["state_max_age_ns"], job["min_interval_ns"])
    _make_plans(engine, Source(engine.spec, blocks, limits), blocks)


def _make_plans(engine: Engine, source: Source, blocks: Blocks) -> None:
    waiting_for: str | None = ""
    while True:
        taken = source.take()
        if isinstance(taken, TimedObservation):
            if waiting_for is not None:
                child.report(state="running")
                waiting_for = None
            started_ns = now_ns()
            actions = engine.infer(taken.values)
            blocks.plans.write((taken.t_ns, started_ns, now_ns() - started_ns, 0, actions))
            continue
        # Once per outage: the age in the complaint grows with every look.
        if taken is not None and taken.stream != waiting_for:
            child.report(state="waiting", why=taken.complaint)
            waiting_for = taken.stream
        time.sleep(_POLL_S)


def _blank(spec: PolicySpec) -> dict[str, Any]:
    kinds = {"VISUAL": np.uint8}
    return {
        feature.key: np.zeros(feature.boundary_shape, kinds.get(feature.kind, np.float32))
        for feature in spec.inputs
    }


@dataclass(frozen=True, slots=True)
class Limits:
    """Oldest usable frame and state, and the shortest time between two plans."""

    camera_ns: int
    state_ns: int
    interval_ns: int


@dataclass(frozen=True, slots=True)
class TimedObservation:
    """One observation and when it was made: the capture time of its newest frame."""

    t_ns: int
    values: Mapping[str, Any]


class Stale(NamedTuple):
    """The stream that is too old to infer from, and the sentence that says so."""

    stream: str
    complaint: str


class Source:
    """Puts one observation together from the newest frame of every camera and the state."""

    def __init__(self, spec: PolicySpec, blocks: Blocks, limits: Limits) -> None:
        self._spec = spec
        self._blocks = blocks
        self._limits = limits
        self._last_t_ns = 0
        self._last_started_ns = 0

    def take(self) -> TimedObservation | Stale | None:
        """The next observation, or what is stale; None while merely nothing is new."""
        now = now_ns()
        stale = self._stale(now)
        if stale is not None:
            return stale
        if now - self._last_started_ns < self._limits.interval_ns or not self._anything_new():
            return None
        values: dict[str, Any] = {}
        newest_ns = 0
        for feature in self._spec.cameras:
            got = self._blocks.frames[feature.camera].latest()
            if got is None:
                return None  # overwritten while copying: the next one is there already
            values[feature.key] = got[1]["pixels"]
            newest_ns = max(newest_ns, int(got[1]["t_capture_ns"]))
        state = self._blocks.states.latest()
        if state is None:
            return None
        for feature in self._spec.vectors:
            values[feature.key] = state[1]["state" if feature.kind == "STATE" else "env"]
        t_ns = newest_ns or int(state[1]["t_ns"])
        if t_ns <= self._last_t_ns:
            return None
        self._last_t_ns, self._last_started_ns = t_ns, now
        return TimedObservation(t_ns, values)

    def _anything_new(self) -> bool:
        rings = self._blocks.frames.values()
        if not rings:
            return (self._blocks.states.peek("t_ns") or 0) > self._last_t_ns
        return any((ring.peek("t_capture_ns") or 0) > self._last_t_ns for ring in rings)

    def _stale(self, now: int) -> Stale | None:
        streams = {
            f"camera {name}": (ring.peek("t_capture_ns"), self._limits.camera_ns)
            for name, ring in self._blocks.frames.items()
        }
        streams["robot state"] = (self._blocks.states.peek("t_ns"), self._limits.state_ns)
        for name, (t_ns, limit_ns) in streams.items():
            age_ns = None if t_ns is None else now - t_ns
            if is_stale(age_ns, limit_ns):
                return Stale(name, complaint(name, age_ns, limit_ns))
        return None


if __name__ == "__main__":
    child.main(run)
