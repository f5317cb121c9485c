"""What the processes share: one record type per stream, all in one place.

stream    writer      readers
frame     camera      inference, tick (its age), supervisor, dataset and picture recorder
wakeup    camera      inference: there is a new frame
pulse     inference   supervisor: it has not come to a stop
chunk     inference   tick, supervisor, flight recorder
state     tick        inference, dataset recorder
fault     supervisor  tick: a process died, motion ends
keep      supervisor  picture recorder: save what is there as a moment
notice    tick        supervisor: why the mode is what it is, which messages were refused
tick      tick        supervisor (statistics), flight, dataset and picture recorder
episode   supervisor  flight recorder, dataset recorder: episodes begin, end and are scored
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from actd.control.state import Event
from actd.runtime.shm import Ring
from actd.runtime.wakeup import WakeUp

NOTICE_BYTES = 1000
PLACE_BYTES = 32
EVENTS: tuple[Event | None, ...] = (None, *Event)
"""What an event's number in a tick record means."""
EVENTS_PER_TICK = 4
CHUNKS_PER_TICK = 32  # bits of plans_taken; a tick that was stopped for longer takes the newest
FRAME_SLOTS = 8
"""Frames of a camera that are kept: as far back as a slower camera can be paired with."""


def frame_dtype(height: int, width: int) -> np.dtype[Any]:
    """One RGB image and the camera's running count of dropped frames.

    `t_changed_ns` is the capture time of the first frame that shows these pixels; where a
    frozen camera is not looked for it equals `t_capture_ns`. `openings` counts how often the
    source was opened since the daemon started, `damaged` the images that came damaged and were
    left out.
    """
    return np.dtype(
        [
            ("t_capture_ns", "<i8"),
            ("t_changed_ns", "<i8"),
            ("drops", "<i8"),
            ("openings", "<i8"),
            ("damaged", "<i8"),
            ("pixels", "u1", (height, width, 3)),
        ]
    )


def chunk_dtype(chunk_size: int, action_dim: int) -> np.dtype[Any]:
    """One chunk of actions in physical units.

    `skew_ns` lies between the oldest and the newest part of its observation; `usable_ns` is how
    long after it the chunk may be followed.
    """
    return np.dtype(
        [
            ("t_observation_ns", "<i8"),
            ("started_ns", "<i8"),
            ("infer_ns", "<i8"),
            ("skew_ns", "<i8"),
            ("usable_ns", "<i8"),
            ("actions", "<f4", (chunk_size, action_dim)),
        ]
    )


def state_dtype(state_dim: int, env_dim: int) -> np.dtype[Any]:
    """The robot's state; `t_ns` is when it was measured."""
    return np.dtype([("t_ns", "<i8"), ("state", "<f4", (state_dim,)), ("env", "<f4", (env_dim,))])


def tick_dtype(action_dim: int, cameras: int) -> np.dtype[Any]:
    """One tick, whole: when it was due and ran, everything it saw, what it sent.

    `late_ns` is the wake-up minus the slot waited for, which lies before `due_ns` when slots
    were missed. Ages are -1 where there is none, `missed` counts from the start; `positions`,
    `action` and `leader`, where an operator's leader arm is, are NaN where there is none.
    `move_share` and `move_left_ns` are how far a move to a
    pose has come, 0 without one. Bit k of `chunks_taken` says that chunk
    `newest_chunk - k` was taken in at this tick. `events` are indices into EVENTS, 0 for none,
    in order, each with the number of the operator's command (0: the tick's own).
    """
    return np.dtype(
        [
            ("seq", "<i8"),
            ("due_ns", "<i8"),
            ("wake_ns", "<i8"),
            ("late_ns", "<i8"),
            ("sent_ns", "<i8"),
            ("missed", "<i8"),
            ("mode", "u1"),
            ("n", "<u2"),
            ("flags", "<u4"),
            ("chunk", "<i8"),
            ("chunk_age_ns", "<i8"),
            ("newest_chunk", "<i8"),
            ("chunks_taken", "<u4"),
            ("events", "u1", (EVENTS_PER_TICK,)),
            ("commands", "<i8", (EVENTS_PER_TICK,)),
            ("state_age_ns", "<i8"),
            ("controller_age_ns", "<i8"),
            ("source", "<i8"),
            ("rivals", "u1"),
            ("openings", "<i8"),
            ("suspended_ns", "<i8"),
            ("leader_age_ns", "<i8"),
            ("camera_ages_ns", "<i8", (cameras,)),
            ("camera_unchanged_ns", "<i8", (cameras,)),
            ("positions", "<f8", (action_dim,)),
            ("action", "<f8", (action_dim,)),
            ("leader", "<f4", (action_dim,)),
            ("move_share", "<f8"),
            ("move_left_ns", "<i8"),
        ]
    )


PULSE = np.dtype([("t_ns", "<i8")])
KEEP = np.dtype([("t_ns", "<i8")])
FAULT = np.dtype([("t_ns", "<i8")])
NOTICE = np.dtype([("t_ns", "<i8"), ("rejected", "<i8"), ("text", f"S{NOTICE_BYTES}")])
"""`rejected`: how many of the robot's messages, by now; 0: `text` is about the mode."""


def notice_text(notice: Any) -> str:
    """What a record of NOTICE says."""
    return bytes(notice["text"]).decode(errors="replace")


EPISODE = np.dtype(
    [
        ("episode", "<i8"),
        ("kind", "u1"),
        ("mode", "u1"),
        ("tick", "<i8"),
        ("t_ns", "<i8"),
        ("unix_s", "<f8"),
        ("place", f"S{PLACE_BYTES}"),
    ]
)
"""One `actd.flightlog.episodes.EpisodeEvent`, `kind` an index into its KINDS."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The sizes that decide every record type."""

    cameras: Mapping[str, tuple[int, int]]
    chunk_size: int
    action_dim: int
    state_dim: int
    env_dim: int


@dataclass(frozen=True, slots=True)
class Channels:
    """All rings of one daemon."""

    frames: Mapping[str, Ring]
    wakeup: WakeUp
    pulse: Ring
    chunks: Ring
    states: Ring
    faults: Ring
    keeps: Ring
    notices: Ring
    ticks: Ring
    episodes: Ring

    @property
    def fds(self) -> dict[str, int]:
        """Descriptor of each ring by stream name: what `open_channels` in a child takes."""
        fixed = {
            "wakeup": self.wakeup.fd,
            "pulse": self.pulse.fd,
            "chunk": self.chunks.fd,
            "state": self.states.fd,
            "fault": self.faults.fd,
            "keep": self.keeps.fd,
            "notice": self.notices.fd,
            "tick": self.ticks.fd,
            "episode": self.episodes.fd,
        }
        return fixed | {f"frame:{name}": ring.fd for name, ring in self.frames.items()}


def open_channels(shapes: Shapes, fds: Mapping[str, int] | None = None) -> Channels:
    """Create the rings, or with `fds` map the ones a parent created."""
    fds = fds or {}

    def ring(stream: str, dtype: np.dtype[Any], slots: int, *, crc: bool = True) -> Ring:
        return Ring(dtype, slots, crc=crc, fd=fds.get(stream, -1))

    return Channels(
        # A CRC would cost more than the copy, and a reader has frame times to make one.
        frames={
            name: ring(f"frame:{name}", frame_dtype(*size), FRAME_SLOTS, crc=False)
            for name, size in shapes.cameras.items()
        },
        wakeup=WakeUp(fds.get("wakeup", -1)),
        pulse=ring("pulse", PULSE, 2, crc=False),
        chunks=ring("chunk", chunk_dtype(shapes.chunk_size, shapes.action_dim), 128),
        states=ring("state", state_dtype(shapes.state_dim, shapes.env_dim), 1024),
        faults=ring("fault", FAULT, 16),
        keeps=ring("keep", KEEP, 16),
        notices=ring("notice", NOTICE, 64),
        ticks=ring("tick", tick_dtype(shapes.action_dim, len(shapes.cameras)), 4096),
        episodes=ring("episode", EPISODE, 256),
    )
