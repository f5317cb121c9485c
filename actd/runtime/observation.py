"""Puts one observation together: frames of all cameras and the robot's state of one moment.

In: the rings of frames and states. Out: an observation that is fresh, paired by capture time
and newer than the last one, or the stream that prevents it and a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from actd.control.staleness import MaxAge, camera_diagnostic, diagnostic, is_stale
from actd.control.synchronization import ANY_SKEW_NS, Pairing, Times, pair
from actd.policy.spec import PolicySpec
from actd.runtime.channels import Channels
from actd.runtime.shm import Ring


@dataclass(frozen=True, slots=True)
class Rules:
    """What an observation must keep.

    Parts that lie further apart than `max_skew_ns` are waited for until `max_delay_ns` have
    passed; then the newest of each are taken, or with `refuse` never. `image_age_ns`: how much
    older than the state beside them the images of the training data were.
    """

    max_age: MaxAge
    max_skew_ns: int
    max_delay_ns: int
    refuse: bool
    interval_ns: int
    """Shortest time between two observations."""
    image_age_ns: int = 0


@dataclass(frozen=True, slots=True)
class TimedObservation:
    """One observation and the moment that its first action is for: the capture time of its newest
    frame, plus what the images of the training data were older than their rows.

    `diagnostic` is "" when its parts fit together.
    """

    t_ns: int
    skew_ns: int
    values: Mapping[str, Any]
    diagnostic: str


class MissingInput(NamedTuple):
    """The stream that keeps an observation from being made, and the sentence that says so."""

    stream: str
    diagnostic: str


class Observer:
    """Watches the rings for the next observation."""

    def __init__(self, spec: PolicySpec, channels: Channels, rules: Rules) -> None:
        self._spec = spec
        self._rules = rules
        self._frames = channels.frames
        self._states = channels.states
        self._rings = [channels.frames[feature.camera] for feature in spec.cameras]
        self._names = [f"camera {feature.camera}" for feature in spec.cameras] + ["robot state"]
        self._looked_at = self._newest()
        self._last_t_ns = 0
        self._last_taken_ns = 0
        self._unfit_since_ns: int | None = None

    def take(self, now: int) -> TimedObservation | MissingInput | None:
        """The next observation, or what is missing; None while merely nothing is new."""
        missing = self._stale(now)
        if missing is not None:
            return missing
        if now - self._last_taken_ns < self._rules.interval_ns:
            return None
        if self._newest() == self._looked_at:
            return None
        pairing = self._pair(now, self._rules.max_skew_ns)
        if pairing is not None:
            self._unfit_since_ns = None
            return self._observe(pairing, now, "")
        return self._unfit(now)

    def let_pass(self) -> None:
        """Wait for a frame that comes after now.

        What came while inference ran is old by up to a frame time; the next one makes a chunk
        that is newer by as much when it is used.
        """
        self._looked_at = self._newest()

    def _newest(self) -> list[int]:
        return [ring.newest for ring in self._rings or (self._states,)]

    def _pair(self, now: int, max_skew_ns: int) -> Pairing | None:
        """The newest moment that is later than the last one."""
        max_age = self._rules.max_age
        frames = [_younger(r, "t_capture_ns", now - max_age.camera_ns) for r in self._rings]
        states = _younger(self._states, "t_ns", now - max_age.state_ns)
        if self._rings:
            states = states._replace(t_ns=states.t_ns - self._rules.image_age_ns)
        pairing = pair(frames, states, max_skew_ns)
        return pairing if pairing is not None and pairing.t_ns > self._last_t_ns else None

    def _unfit(self, now: int) -> TimedObservation | MissingInput | None:
        pairing = self._pair(now, ANY_SKEW_NS)
        if pairing is None:
            return None
        if self._unfit_since_ns is None:
            self._unfit_since_ns = now
        if now - self._unfit_since_ns < self._rules.max_delay_ns:
            return None
        late, early = self._names[pairing.oldest], self._names[pairing.newest]
        words = (
            f"{late} is {pairing.skew_ns / 1e6:.0f} ms behind {early} "
            f"(observation.max_skew_ms is {self._rules.max_skew_ns / 1e6:g})"
        )
        return (
            MissingInput(late, words) if self._rules.refuse else self._observe(pairing, now, words)
        )

    def _observe(self, pairing: Pairing, now: int, words: str) -> TimedObservation | None:
        rings = (*self._rings, self._states)
        records = [ring.read(n) for ring, n in zip(rings, pairing.numbers, strict=True)]
        *frames, state = records
        values: dict[str, Any] = {}
        for feature, frame in zip(self._spec.cameras, frames, strict=True):
            values[feature.key] = None if frame is None else frame["pixels"]
        for feature in self._spec.vectors:
            field = "state" if feature.kind == "STATE" else "env"
            values[feature.key] = None if state is None else state[field]
        if any(value is None for value in values.values()):
            return None  # overwritten while it was copied: the next one is there already
        self._last_t_ns, self._last_taken_ns = pairing.t_ns, now
        t_ns = pairing.t_ns + (self._rules.image_age_ns if self._rings else 0)
        return TimedObservation(min(t_ns, now), pairing.skew_ns, values, words)

    def _stale(self, now: int) -> MissingInput | None:
        max_age = self._rules.max_age
        for name, ring in self._frames.items():
            t_ns = ring.peek("t_capture_ns")
            age_ns = None if t_ns is None else now - t_ns
            changed_ns = ring.peek("t_changed_ns")
            unchanged_ns = t_ns - changed_ns if t_ns and changed_ns else 0
            words = camera_diagnostic(name, age_ns, unchanged_ns, max_age)
            if words is not None:
                return MissingInput(f"camera {name}", words)
        t_ns = self._states.peek("t_ns")
        age_ns = None if t_ns is None else now - t_ns
        if is_stale(age_ns, max_age.state_ns):
            return MissingInput("robot state", diagnostic("robot state", age_ns, max_age.state_ns))
        return None


def _younger(ring: Ring, field: str, than_ns: int) -> Times:
    """The records of `ring` that are not older than `than_ns`."""
    numbers, t_ns = ring.history(field)
    young = t_ns >= than_ns
    return Times(numbers[young], t_ns[young])
