"""Which action is due: chunks of actions, looked up by time.

Row k of a chunk is for `t_observation_ns + k / policy_hz`. Nothing is counted and no latency
is estimated, so a late, missing or repeated inference never shifts an action in time.

Three ways to read overlapping chunks:
- `temporal`: ACT's exponential ensemble of every chunk that covers the moment;
- `queue`: `n_action_steps` of one chunk, then the newest one;
- `latest`: the newest chunk, cross-faded from the one before.

Each of them says how much every chunk counts; one product of these weights with the rows
around the moment then gives the action, interpolated per joint. When no chunk covers the
moment there is no action.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.control.between import Between, Interpolation

PlanMode = Literal["temporal", "queue", "latest"]
Vector = NDArray[np.float64]

# Due times are whole nanoseconds and policy periods need not be: a row that is due within
# this fraction of a period counts as due.
_ROW_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How chunks are read. `temporal_coeff` > 0 favours the oldest prediction, 0 is uniform.

    `interpolation` between rows is per joint (see `between`); empty: linear for all.
    """

    mode: PlanMode
    policy_hz: float
    chunk_size: int
    action_dim: int
    n_action_steps: int
    temporal_coeff: float = 0.01
    crossfade_ns: int = 200_000_000
    interpolation: tuple[Interpolation, ...] = ()
    max_plans: int = 128


class Plan(NamedTuple):
    """One inference: `actions` (chunk_size, action_dim), observed at `t_observation_ns`."""

    number: int
    t_observation_ns: int
    actions: NDArray[np.float32]


class Sample(NamedTuple):
    """The action due at one moment: (action_dim,), from `n` plans, the newest of them `number`."""

    action: Vector
    number: int
    n: int


class Reading(NamedTuple):
    """In queue and latest mode: the slot being read, the one faded from, and since when."""

    active: int | None = None
    previous: int | None = None
    since_ns: int = 0


def ensemble_weights(coeff: float, n: int) -> Vector:
    """Normalised weights of `n` predictions, oldest first: exp(-coeff * i).

    A positive coefficient favours the oldest prediction, a negative one the newest.
    """
    exponents = -coeff * np.arange(n)
    weights = np.exp(exponents - exponents.max(initial=-np.inf))
    normalised: Vector = weights / weights.sum()
    return normalised


def interpolation(settings: PlanSettings) -> tuple[Interpolation, ...]:
    """Between rows, for every joint."""
    straight: Interpolation = "linear"
    return settings.interpolation or (straight,) * settings.action_dim


def describe(settings: PlanSettings) -> str:
    """How chunks are read, in a sentence; for `temporal` with what the coefficient means."""
    joints = Counter(interpolation(settings))
    kinds = [f"{kind} ({count} of {settings.action_dim})" for kind, count in joints.items()]
    between = ", ".join(kinds if len(joints) > 1 else joints)
    return f"{settings.mode}, {_describe_mode(settings)}; {between} between rows"


def _describe_mode(settings: PlanSettings) -> str:
    rows, coeff = settings.chunk_size, settings.temporal_coeff
    if settings.mode == "queue":
        return f"{settings.n_action_steps} of {rows} rows of a chunk, then the newest chunk"
    if settings.mode == "latest":
        return f"the newest chunk, faded in over {settings.crossfade_ns / 1e6:g} ms"
    if coeff == 0:
        return f"coefficient 0: all of up to {rows} predictions weigh the same"
    weights = [f"{weight:.4f}" for weight in ensemble_weights(coeff, rows)]
    if len(weights) > 4:
        weights[2:-1] = ["..."]
    sign, heaviest = (">", "oldest") if coeff > 0 else ("<", "newest")
    return (
        f"coefficient {coeff:g} {sign} 0: the {heaviest} of up to {rows} predictions weighs most "
        f"({', '.join(weights)}, oldest first)"
    )


def ease(x: float) -> float:
    """From 0 at x = 0 to 1 at x = 1, starting and ending with no slope."""
    return x * x * (3.0 - 2.0 * x)


class Planner:
    """Holds the chunks that may still be due and answers what is due when.

    `at` changes nothing but `reading`. Asked the same again, it has the answer ready.
    """

    def __init__(self, settings: PlanSettings) -> None:
        self.settings = settings
        self._rows_per_ns = settings.policy_hz / 1e9
        # One block for all chunks, so that a moment is looked up in every chunk at once.
        self._capacity = settings.max_plans if settings.mode == "temporal" else 3
        shape = (self._capacity * settings.chunk_size, settings.action_dim)
        self._rows: NDArray[np.float32] = np.zeros(shape, np.float32)
        self._starts: NDArray[np.int64] = np.zeros(self._capacity, np.int64)
        self._numbers = [0] * self._capacity
        self._order: deque[int] = deque()  # slots in use, oldest observation first
        self._free = deque(range(self._capacity))
        self._cycle: NDArray[np.intp] = np.arange(2 * self._capacity) % self._capacity
        self.reading = Reading()
        self._changes = 0  # of the chunks held
        self._asked: tuple[int, int, Reading] | None = None
        self._answer: tuple[Sample | None, Reading] = (None, self.reading)
        counts = range(self._capacity + 1)
        self._ensembles = [ensemble_weights(settings.temporal_coeff, n) for n in counts]
        self._between = Between(interpolation(settings))
        self._choose = {
            "temporal": self._temporal,
            "queue": self._queue,
            "latest": self._latest,
        }[settings.mode]

    @property
    def newest_observation_ns(self) -> int | None:
        """When the newest plan's observation was made, or None without a plan."""
        return int(self._starts[self._order[-1]]) if self._order else None

    def add(self, plan: Plan) -> bool:
        """Take a plan. False, and no effect, if its observation is not newer than the newest."""
        if self._order and plan.t_observation_ns <= self._starts[self._order[-1]]:
            return False
        # Chunks that are over go, and for want of room the oldest; those being read stay.
        being_read = self.reading[:2]
        for slot in [slot for slot in self._order if slot not in being_read]:
            if self._free and self._row(slot, plan.t_observation_ns) < self.settings.chunk_size:
                break
            self._order.remove(slot)
            self._free.append(slot)
        slot = self._free.popleft()
        first = slot * self.settings.chunk_size
        self._rows[first : first + self.settings.chunk_size] = plan.actions
        self._starts[slot] = plan.t_observation_ns
        self._numbers[slot] = plan.number
        self._order.append(slot)
        self._changes += 1
        return True

    def clear(self) -> None:
        """Forget every plan."""
        self._free.extend(self._order)
        self._order.clear()
        self._changes += 1
        self.reading = Reading()

    def at(self, due_ns: int) -> Sample | None:
        """The action due at `due_ns`, or None when no plan covers that moment."""
        question = (due_ns, self._changes, self.reading)
        if question != self._asked:
            sample = self._choose(due_ns)
            self._asked, self._answer = question, (sample, self.reading)
        sample, self.reading = self._answer
        return sample

    def _row(self, slot: int, due_ns: int) -> float:
        return (due_ns - int(self._starts[slot])) * self._rows_per_ns + _ROW_EPSILON

    def _covers(self, slot: int, due_ns: int) -> bool:
        return 0.0 <= self._row(slot, due_ns) < self.settings.chunk_size

    def _newest_covering(self, due_ns: int) -> int | None:
        return next((s for s in reversed(self._order) if self._covers(s, due_ns)), None)

    def _temporal(self, due_ns: int) -> Sample | None:
        order = self._order
        first, end = 0, len(order)
        while first < end and self._row(order[first], due_ns) >= self.settings.chunk_size:
            first += 1
        while first < end and self._row(order[end - 1], due_ns) < 0.0:
            end -= 1  # observed after the moment asked for
        count = end - first
        if not count:
            return None
        # Slots are taken and dropped in turn, so those in use follow each other.
        slots = self._cycle[order[first] : order[first] + count]
        action = self._mix(slots, self._ensembles[count], due_ns)
        return Sample(action, self._numbers[order[end - 1]], count)

    def _queue(self, due_ns: int) -> Sample | None:
        active = self.reading.active
        if active is None or self._row(active, due_ns) >= self.settings.n_action_steps:
            newest = self._newest_covering(due_ns)
            if newest is not None:
                active = newest
                self.reading = Reading(active)
        # With no newer plan the rest of the old one still is a prediction for this moment.
        if active is None or not self._covers(active, due_ns):
            return None
        return self._alone(active, due_ns)

    def _latest(self, due_ns: int) -> Sample | None:
        active, previous, since_ns = self.reading
        newest = self._newest_covering(due_ns)
        window_ns = self.settings.crossfade_ns
        passed = None if active is None else self._row(active, due_ns) - self.settings.chunk_size
        # A fade once begun is finished, however many plans arrive meanwhile: restarting it
        # from a half-faded action is what would make a step.
        fading = previous is not None and due_ns - since_ns < window_ns
        if newest != active and not (fading and passed is not None and passed < 0.0):
            # There is no fading from a chunk that was over for longer than a row: after a gap
            # nothing was being commanded from it.
            previous = active if passed is not None and passed < 1.0 else None
            active, since_ns = newest, due_ns
            self.reading = Reading(active, previous, since_ns)
        if active is None:
            return None
        elapsed_ns = due_ns - since_ns
        if previous is None or elapsed_ns >= window_ns:
            return self._alone(active, due_ns)
        # A chunk that ends while it fades stays at its last row.
        share = ease(elapsed_ns / window_ns)
        slots = np.array((previous, active), np.intp)
        action = self._mix(slots, np.array((1.0 - share, share)), due_ns)
        return Sample(action, self._numbers[active], 2)

    def _alone(self, slot: int, due_ns: int) -> Sample:
        action = self._mix(self._cycle[slot : slot + 1], self._ensembles[1], due_ns)
        return Sample(action, self._numbers[slot], 1)

    def _mix(self, slots: NDArray[np.intp], weights: Vector, due_ns: int) -> Vector:
        """The weighted sum of what the chunks in `slots` (n,) say for the moment."""
        rows = (due_ns - self._starts[slots]) * self._rows_per_ns + _ROW_EPSILON
        low = rows.astype(np.intp)
        passed = rows - low
        passed[passed < 2 * _ROW_EPSILON] = 0.0
        last = self.settings.chunk_size - 1
        first = slots * self.settings.chunk_size
        if not np.count_nonzero(passed):
            action: Vector = weights @ self._rows[first + np.minimum(low, last)]
            return action
        around = low[:, None] + self._between.offsets
        around = np.minimum(np.maximum(around, 0), last) + first[:, None]
        return self._between.mix(passed, weights, self._rows[around])
