"""Which action is due: chunks of actions, looked up by time.

Row k of a chunk is for its observation plus k policy periods, on the plan's clock (see
`time_scaling`), which runs with the real one unless a limit makes the arm slower. Nothing is
counted and no latency is estimated, so a late, missing or repeated inference never shifts an
action in time.

Three ways to read overlapping chunks:
- `temporal`: ACT's exponential ensemble of every chunk that covers the moment, weighted by how
  many policy periods an observation is younger than the oldest. Where inference is slower than
  the policy's rate few chunks overlap, so each of them is faded in and out;
- `queue`: `n_action_steps` of one chunk, then the newest one;
- `latest`: the newest chunk, cross-faded from the one before.

Each of them says how much every chunk counts; one product of these weights with the rows
around the moment then gives the action, and those that will be due after it, interpolated per
joint. All of it are weighted means of rows: nothing lies beyond what was planned. When no chunk
covers the moment there is no action.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.interpolation import Interpolation, Interpolator

ChunkMode = Literal["temporal", "queue", "latest"]
DEFAULT_COEFF = -0.1
"""Of a policy that was given none (docs/decisions/0027); the original ACT used 0.01."""

# Due times are whole nanoseconds and policy periods need not be: a row that is due within
# this fraction of a period counts as due.
_ROW_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How chunks are read. `temporal_coeff` > 0 favours the oldest prediction, 0 is uniform.

    `interpolation` between rows is per joint (see `interpolation`); empty: linear for all.
    `latency_ns`: how far ahead of the command each joint is read; empty: not at all.
    """

    mode: ChunkMode
    policy_hz: float
    chunk_size: int
    action_dim: int
    n_action_steps: int
    temporal_coeff: float = DEFAULT_COEFF
    crossfade_ns: int = 200_000_000
    interpolation: tuple[Interpolation, ...] = ()
    latency_ns: tuple[int, ...] = ()
    max_chunks: int = 128

    def __post_init__(self) -> None:
        """Raises ValueError for what no policy has."""
        if not 0 < self.chunk_size < 1 << 20 or not 0 < self.max_chunks <= 1 << 12:
            raise ValueError(f"chunk_size: {self.chunk_size}, of {self.max_chunks} chunks")
        if not 0 < self.policy_hz <= 1e6:
            raise ValueError(f"policy_hz: {self.policy_hz}")
        for name in ("interpolation", "latency_ns"):
            if len(getattr(self, name)) not in (0, self.action_dim):
                raise ValueError(f"{name}: not one value for each of {self.action_dim} joints")

    @property
    def duration_ns(self) -> int:
        """How long the rows of a chunk last."""
        return round(self.chunk_size / self.policy_hz * 1e9)


class ActionChunk(NamedTuple):
    """One inference: `actions` (chunk_size, action_dim), observed at `t_observation_ns`.

    It may be followed until `usable_ns` after its observation; 0: for as long as it lasts.
    """

    number: int
    t_observation_ns: int
    actions: NDArray[np.float32]
    usable_ns: int = 0


class Sample(NamedTuple):
    """What is planned for one moment, from `n` chunks, the newest of them `number`.

    `action` (action_dim,), and `path` (ahead + 1, action_dim): the action and those of the
    following policy periods as they are planned now. From row `seam` on the path is another
    chunk's; the step there is not a motion. Between two of these rows the chunk may turn; `low`
    to `high` (action_dim,) is what it keeps to all the way.
    """

    action: Vector
    number: int
    n: int
    path: Vector
    seam: int
    low: Vector
    high: Vector


class _Ahead(NamedTuple):
    """What some chunks say for a moment and after it, as in `Sample`."""

    path: Vector
    low: Vector
    high: Vector


class _Chunk(NamedTuple):
    number: int
    slot: int  # where its rows are
    start_ns: int  # of its observation, on the plan's clock
    observed_ns: int  # the same on the real clock


class _Group(NamedTuple):
    """Chunks that are read together, and the weight of each."""

    slots: NDArray[np.intp]
    starts_ns: NDArray[np.int64]
    weights: Vector


class Cursor(NamedTuple):
    """In queue and latest mode: the chunk being read, the one faded from, and since when."""

    active: _Chunk | None = None
    previous: _Chunk | None = None
    since_ns: int = 0


def ensemble_weights(coeff: float, steps: Vector) -> Vector:
    """Normalised weights of predictions that are `steps` (n,) policy periods younger than the
    oldest: exp(-coeff * steps). A positive coefficient favours the oldest, a negative the newest.
    """
    exponents = -coeff * steps
    weights = np.exp(exponents - exponents.max(initial=-np.inf))
    normalised: Vector = weights / weights.sum()
    return normalised


def fade(edge: Vector, gap: Vector) -> Vector:
    """How much chunks count, (n,): from almost 0 when one comes over 1 to almost 0 at its end.

    In policy periods, each (n,): `edge` is the time since it came or until it ends, whichever is
    less, `gap` how much later it was observed than the one before. With one inference per period,
    as in LeRobot, every chunk counts fully; the longer the gap, the longer the fade.
    """
    shares: Vector = np.maximum(edge, _ROW_EPSILON) / np.maximum(gap - 1.0, _ROW_EPSILON)
    return np.minimum(shares, 1.0)


def interpolation(settings: ChunkSettings) -> tuple[Interpolation, ...]:
    """Between rows, for every joint."""
    straight: Interpolation = "linear"
    return settings.interpolation or (straight,) * settings.action_dim


def describe(settings: ChunkSettings) -> str:
    """How chunks are read, in a sentence; for `temporal` with what the coefficient means."""
    joints = Counter(interpolation(settings))
    kinds = [f"{kind} ({count} of {settings.action_dim})" for kind, count in joints.items()]
    between = ", ".join(kinds if len(joints) > 1 else joints)
    return (
        f"{settings.policy_hz:g} rows per second, {settings.mode}, {_describe_mode(settings)}; "
        f"{between} between rows"
    )


def _describe_mode(settings: ChunkSettings) -> str:
    rows, coeff = settings.chunk_size, settings.temporal_coeff
    if settings.mode == "queue":
        return f"{settings.n_action_steps} of {rows} rows of a chunk, then the newest chunk"
    if settings.mode == "latest":
        return f"the newest chunk, faded in over {settings.crossfade_ns / 1e6:g} ms"
    if coeff == 0:
        return f"coefficient 0: all of up to {rows} predictions weigh the same"
    weights = [f"{weight:.4f}" for weight in ensemble_weights(coeff, np.arange(float(rows)))]
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


class ChunkBuffer:
    """Holds the chunks that may still be due and answers what is due when.

    `ahead`: how many policy periods after the moment a sample's path goes.
    """

    def __init__(self, settings: ChunkSettings, ahead: int = 0) -> None:
        self.settings = settings
        self._ahead = ahead
        self._rows_per_ns = settings.policy_hz / 1e9
        self._last_row = settings.chunk_size - 1
        # One block for all chunks, so that a moment is looked up in every chunk at once.
        self._rows: Vector = np.zeros(
            (settings.max_chunks, settings.chunk_size, settings.action_dim)
        )
        self._chunks: deque[_Chunk] = deque()  # oldest observation first
        self._added = 0
        # By slot: when its observation was made and when it came, both on the plan's clock, and
        # the policy periods between its observation and its neighbour's; 0: it has none.
        self._starts_ns: NDArray[np.int64] = np.zeros(settings.max_chunks, np.int64)
        self._added_ns: NDArray[np.int64] = np.zeros(settings.max_chunks, np.int64)
        self._gaps: Vector = np.zeros(settings.max_chunks)
        self.cursor = Cursor()
        self.usable_ns = settings.duration_ns
        """Of the newest chunk: how long after its observation it may be followed."""
        self._interpolator = Interpolator(interpolation(settings))
        self._offsets = np.arange(len(self._interpolator.offsets) + ahead) + int(
            self._interpolator.offsets[0]
        )
        # Joints that are read at the same moment, together.
        latency_ns = settings.latency_ns or (0,) * settings.action_dim
        self._latencies = [
            (each, [j for j, own in enumerate(latency_ns) if own == each])
            for each in sorted(set(latency_ns))
        ]
        self._choose = {
            "temporal": self._temporal,
            "queue": self._queue,
            "latest": self._latest,
        }[settings.mode]

    @property
    def observed_ns(self) -> int | None:
        """When the newest chunk's observation was made (real clock), None without a chunk."""
        return self._chunks[-1].observed_ns if self._chunks else None

    def age_ns(self, now_ns: int) -> int | None:
        """Since the newest chunk's observation was made (real clock), None without a chunk."""
        # Where a tick woke late, a chunk may be of a moment after the one it was due at.
        return max(0, now_ns - self._chunks[-1].observed_ns) if self._chunks else None

    def add(
        self, chunk: ActionChunk, start_ns: int | None = None, now_ns: int | None = None
    ) -> bool:
        """Take a chunk, observed at `start_ns` of the plan's clock (default: the real time), at
        `now_ns` of it (default: at once).

        False, and no effect, if its observation is not newer than the newest.
        """
        chunks = self._chunks
        if chunks and chunk.t_observation_ns <= chunks[-1].observed_ns:
            return False
        # What would be over by the real clock is too old, also where the plan's clock stood still.
        oldest_ns = chunk.t_observation_ns - self.settings.duration_ns
        while chunks and (
            chunks[0].observed_ns <= oldest_ns or len(chunks) == self.settings.max_chunks
        ):
            chunks.popleft()
        slot = self._added % self.settings.max_chunks
        self._added += 1
        start_ns = chunk.t_observation_ns if start_ns is None else start_ns
        now_ns = start_ns if now_ns is None else now_ns
        self.usable_ns = chunk.usable_ns or self.settings.duration_ns
        self._rows[slot], self._gaps[slot] = chunk.actions, 0.0
        self._starts_ns[slot], self._added_ns[slot] = start_ns, now_ns
        if chunks and self._covers(chunks[-1], now_ns):
            gap = (start_ns - chunks[-1].start_ns) * self._rows_per_ns
            self._gaps[slot] = gap
            # The first chunk was not faded in, but this one takes its place.
            self._gaps[chunks[-1].slot] = self._gaps[chunks[-1].slot] or gap
        chunks.append(_Chunk(chunk.number, slot, start_ns, chunk.t_observation_ns))
        return True

    def clear(self) -> None:
        """Forget every chunk."""
        self._chunks.clear()
        self.cursor = Cursor()

    def at(self, t_ns: int) -> Sample | None:
        """What is due at `t_ns` of the plan's clock, or None when no chunk covers that moment."""
        return self._choose(t_ns)

    def _row(self, chunk: _Chunk, t_ns: int) -> float:
        return (t_ns - chunk.start_ns) * self._rows_per_ns + _ROW_EPSILON

    def _covers(self, chunk: _Chunk, t_ns: int) -> bool:
        return 0.0 <= self._row(chunk, t_ns) < self.settings.chunk_size

    def _newest_covering(self, t_ns: int) -> _Chunk | None:
        return next((c for c in reversed(self._chunks) if self._covers(c, t_ns)), None)

    def _temporal(self, t_ns: int) -> Sample | None:
        chunks = self._chunks
        first, end = 0, len(chunks)
        while first < end and self._row(chunks[first], t_ns) >= self.settings.chunk_size:
            first += 1
        while first < end and self._row(chunks[end - 1], t_ns) < 0.0:
            end -= 1  # observed after the moment asked for
        if first == end:
            return None
        oldest = self._added - len(chunks)
        slots = np.arange(oldest + first, oldest + end) % self.settings.max_chunks
        starts_ns, per_ns = self._starts_ns[slots], self._rows_per_ns
        steps = (starts_ns - starts_ns[0]) * per_ns
        since = (t_ns - self._added_ns[slots]) * per_ns
        until = self.settings.chunk_size - (t_ns - starts_ns) * per_ns
        weights = ensemble_weights(self.settings.temporal_coeff, steps)
        weights *= fade(np.minimum(since, until), self._gaps[slots])
        ahead = self._ahead_of(_Group(slots, starts_ns, weights / weights.sum()), t_ns)
        return _sample(ahead, chunks[end - 1].number, end - first)

    def _queue(self, t_ns: int) -> Sample | None:
        active, _, since_ns = self.cursor
        steps = self.settings.n_action_steps
        # Rows are counted from the first that is used, but no chunk has more than it has.
        last = 0.0
        if active is not None:
            last = min(self.settings.chunk_size, steps + self._row(active, since_ns))
        if active is None or self._row(active, t_ns) >= last - 2 * _ROW_EPSILON:
            newest = self._newest_covering(t_ns)
            if newest is not None and newest != active:
                active = newest
                last = min(self.settings.chunk_size, steps + self._row(active, t_ns))
                self.cursor = Cursor(active, None, t_ns)
        # With no newer chunk the rest of the old one still is a prediction for this moment.
        if active is None or not self._covers(active, t_ns):
            return None
        return self._alone(active, t_ns, math.ceil(last - self._row(active, t_ns)))

    def _latest(self, t_ns: int) -> Sample | None:
        active, previous, since_ns = self.cursor
        newest = self._newest_covering(t_ns)
        window_ns = self.settings.crossfade_ns
        passed = None if active is None else self._row(active, t_ns) - self.settings.chunk_size
        # A fade once begun is finished, however many chunks arrive meanwhile: restarting it
        # from a half-faded action is what would make a step.
        fading = previous is not None and t_ns - since_ns < window_ns
        if newest != active and not (fading and passed is not None and passed < 0.0):
            # There is no fading from a chunk that was over for longer than a row: after a gap
            # nothing was being commanded from it.
            previous = active if passed is not None and passed < 1.0 else None
            active, since_ns = newest, t_ns
            self.cursor = Cursor(active, previous, since_ns)
        if active is None:
            return None
        elapsed_ns = t_ns - since_ns
        if previous is None or elapsed_ns >= window_ns:
            remaining = self.settings.chunk_size - self._row(active, t_ns)
            return self._alone(active, t_ns, math.ceil(remaining))
        # A chunk that ends while it fades stays at its last row.
        share = ease(elapsed_ns / window_ns)
        ahead = self._ahead_of(_group((previous, active), np.array((1.0 - share, share))), t_ns)
        return _sample(ahead, active.number, 2)

    def _alone(self, chunk: _Chunk, t_ns: int, seam: int) -> Sample:
        """One chunk's path, from row `seam` on the newest one's, which will then be read."""
        one = np.ones(1)
        ahead = self._ahead_of(_group((chunk,), one), t_ns)
        newest = self._chunks[-1] if self._chunks else chunk
        if seam >= len(ahead.path) or newest == chunk:
            return _sample(ahead, chunk.number, 1)
        after = self._ahead_of(_group((newest,), one), t_ns)
        ahead.path[seam:] = after.path[seam:]
        low, high = np.minimum(ahead.low, after.low), np.maximum(ahead.high, after.high)
        return Sample(ahead.path[0], chunk.number, 1, ahead.path, seam, low, high)

    def _ahead_of(self, group: _Group, t_ns: int) -> _Ahead:
        """The weighted sum of what the chunks say for the moment and the rows after it."""
        if len(self._latencies) == 1:
            return self._ahead_at(group, t_ns + self._latencies[0][0])
        width = self.settings.action_dim
        whole = _Ahead(np.empty((self._ahead + 1, width)), np.empty(width), np.empty(width))
        for latency_ns, joints in self._latencies:
            part = self._ahead_at(group, t_ns + latency_ns)
            for all_joints, some in zip(whole, part, strict=True):
                all_joints[..., joints] = some[..., joints]
        return whole

    def _ahead_at(self, group: _Group, t_ns: int) -> _Ahead:
        slots, starts_ns, weights = group
        rows = (t_ns - starts_ns) * self._rows_per_ns + _ROW_EPSILON
        low = np.floor(rows).astype(np.intp)
        passed = rows - low
        passed[passed < 2 * _ROW_EPSILON] = 0.0
        around = np.minimum(np.maximum(low[:, None] + self._offsets, 0), self._last_row)
        used = self._rows[slots[:, None], around]
        path, mean = self._interpolator.mix(passed, weights, used)
        # Between the moments of the path the chunk may turn at a row.
        both = np.concatenate((path, mean))
        return _Ahead(path, both.min(axis=0), both.max(axis=0))


def _group(chunks: Sequence[_Chunk], weights: Vector) -> _Group:
    slots = np.array([chunk.slot for chunk in chunks], np.intp)
    starts_ns = np.array([chunk.start_ns for chunk in chunks], np.int64)
    return _Group(slots, starts_ns, weights)


def _sample(ahead: _Ahead, number: int, n: int) -> Sample:
    """Of chunks that are read together as far as the path goes."""
    return Sample(ahead.path[0], number, n, ahead.path, len(ahead.path), ahead.low, ahead.high)
