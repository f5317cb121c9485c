"""Which action is due: chunks of actions, looked up by time.

Row k of a chunk is for `t_observation_ns + k / policy_hz`; between rows the action is
interpolated linearly. Nothing is counted and no latency is estimated, so a late, missing
or repeated inference never shifts an action in time.

Three ways to read overlapping chunks:
- `temporal`: ACT's exponential ensemble of every chunk that covers the moment;
- `queue`: `n_action_steps` of one chunk, then the newest one;
- `latest`: the newest chunk, cross-faded from the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

PlanMode = Literal["temporal", "queue", "latest"]
Interpolation = Literal["hold", "linear", "smooth"]

# Due times are whole nanoseconds and policy periods need not be: a row that is due within
# this fraction of a period counts as due.
_ROW_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How chunks are read. `temporal_coeff` > 0 favours the oldest prediction, 0 is uniform.

    `interpolation` between rows, per joint; empty: linear for all.
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

    action: NDArray[np.float64]
    number: int
    n: int


def ensemble_weights(coeff: float, n: int) -> NDArray[np.float64]:
    """Normalised weights of `n` predictions, oldest first: exp(-coeff * i).

    A positive coefficient favours the oldest prediction, a negative one the newest.
    """
    weights = np.exp(-coeff * np.arange(n))
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


class Planner:
    """Holds the chunks that may still be due and answers what is due when."""

    def __init__(self, settings: PlanSettings) -> None:
        self.settings = settings
        self._rows_per_ns = settings.policy_hz / 1e9
        # One block for all chunks, so that a moment is looked up in every chunk at once.
        capacity = settings.max_plans if settings.mode == "temporal" else 3
        shape = (capacity, settings.chunk_size, settings.action_dim)
        self._actions: NDArray[np.float32] = np.zeros(shape, np.float32)
        self._starts: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._numbers = [0] * capacity
        self._order: list[int] = []  # slots in use, oldest observation first
        self._weights = np.exp(-settings.temporal_coeff * np.arange(capacity))
        self._active: int | None = None  # slots being read in queue and latest mode
        self._previous: int | None = None
        self._switched_ns = 0
        self._look_up = {
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
        slot = self._free_slot()
        self._actions[slot] = plan.actions
        self._starts[slot] = plan.t_observation_ns
        self._numbers[slot] = plan.number
        self._order.append(slot)
        return True

    def clear(self) -> None:
        """Forget every plan."""
        self._order.clear()
        self._active = self._previous = None

    def at(self, due_ns: int) -> Sample | None:
        """The action due at `due_ns`, or None when no plan covers that moment."""
        return self._look_up(due_ns)

    def _free_slot(self) -> int:
        capacity = len(self._starts)
        if len(self._order) == capacity:
            # The slots being read stay; of the others the oldest goes.
            keep = {self._active, self._previous}
            drop = next(slot for slot in self._order if slot not in keep)
            self._order.remove(drop)
            return drop
        return next(slot for slot in range(capacity) if slot not in self._order)

    def _row(self, slot: int, due_ns: int) -> float:
        return (due_ns - int(self._starts[slot])) * self._rows_per_ns + _ROW_EPSILON

    def _covers(self, slot: int, due_ns: int) -> bool:
        return 0.0 <= self._row(slot, due_ns) < self.settings.chunk_size

    def _action(self, slot: int, due_ns: int) -> NDArray[np.float64]:
        row = self._row(slot, due_ns)
        low = int(row)
        high = min(low + 1, self.settings.chunk_size - 1)
        fraction = row - low
        if fraction < 2 * _ROW_EPSILON:
            due: NDArray[np.float64] = self._actions[slot, low].astype(np.float64)
            return due
        first = self._actions[slot, low].astype(np.float64)
        mixed: NDArray[np.float64] = first + fraction * (self._actions[slot, high] - first)
        return mixed

    def _temporal(self, due_ns: int) -> Sample | None:
        while self._order and self._row(self._order[0], due_ns) >= self.settings.chunk_size:
            self._order.pop(0)
        count = len(self._order)
        while count and self._row(self._order[count - 1], due_ns) < 0.0:
            count -= 1  # observed after the moment asked for
        if not count:
            return None
        slots = np.array(self._order[:count])
        rows = (due_ns - self._starts[slots]) * self._rows_per_ns + _ROW_EPSILON
        low = rows.astype(np.intp)
        high = np.minimum(low + 1, self.settings.chunk_size - 1)
        fraction = rows - low
        fraction[fraction < 2 * _ROW_EPSILON] = 0.0
        weights = self._weights[:count] / self._weights[:count].sum()
        action = (weights * (1.0 - fraction)) @ self._actions[slots, low]
        if fraction.any():
            action = action + (weights * fraction) @ self._actions[slots, high]
        return Sample(action, self._numbers[slots[-1]], count)

    def _queue(self, due_ns: int) -> Sample | None:
        active = self._active
        if active is None or self._row(active, due_ns) >= self.settings.n_action_steps:
            newest = self._newest_covering(due_ns)
            if newest is not None:
                self._active = active = newest
        # With no newer plan the rest of the old one still is a prediction for this moment.
        if active is None or not self._covers(active, due_ns):
            return None
        return Sample(self._action(active, due_ns), self._numbers[active], 1)

    def _latest(self, due_ns: int) -> Sample | None:
        newest = self._newest_covering(due_ns)
        window_ns = self.settings.crossfade_ns
        # A fade once begun is finished, however many plans arrive meanwhile: restarting it
        # from a half-faded action is what would make a step.
        fading = (
            self._active is not None
            and self._covers(self._active, due_ns)
            and due_ns - self._switched_ns < window_ns
        )
        if newest != self._active and not fading:
            self._previous, self._active, self._switched_ns = self._active, newest, due_ns
        active, previous = self._active, self._previous
        if active is None or not self._covers(active, due_ns):
            return None
        action = self._action(active, due_ns)
        elapsed_ns = due_ns - self._switched_ns
        if previous is None or elapsed_ns >= window_ns or not self._covers(previous, due_ns):
            return Sample(action, self._numbers[active], 1)
        share = elapsed_ns / window_ns
        mixed = (1.0 - share) * self._action(previous, due_ns) + share * action
        return Sample(mixed, self._numbers[active], 2)

    def _newest_covering(self, due_ns: int) -> int | None:
        return next((s for s in reversed(self._order) if self._covers(s, due_ns)), None)
