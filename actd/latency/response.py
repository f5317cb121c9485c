"""How an arm responds to commands: delay by cross-correlation, and the shape of one step.

Pure: arrays in, numbers out; raises NotMeasurableError when they would be meaningless.

Both signals pass through the same filter, the derivative of a Gaussian of 0.1 s. It keeps the
motion of policies, below about 3 Hz, and removes encoder noise and constant offsets; being the
same for both, it does not change the delay. For an arm with dead time and a first-order lag the
result is nearly their sum: the time by which to read actions ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.errors import ActdError

Times = NDArray[np.int64]
GRID_NS = 5_000_000
SMOOTH_NS = 100_000_000
EARLIEST_NS = -100_000_000
LATEST_NS = 600_000_000
LEAST_CORRELATION = 0.8

_BACK = -EARLIEST_NS // GRID_NS
_AHEAD = LATEST_NS // GRID_NS
_REACH = 4 * SMOOTH_NS // GRID_NS  # half the filter's length
_CORE = 500_000_000 // GRID_NS  # the least motion worth comparing
SHORTEST_NS = (_BACK + _AHEAD + 2 * _REACH + _CORE) * GRID_NS
"""A shorter trace cannot be measured."""

# The filter's kernel: the derivative of a Gaussian.
_X = np.arange(-_REACH, _REACH + 1) * GRID_NS / SMOOTH_NS
_KERNEL = -_X * np.exp(-(_X**2) / 2)


class NotMeasurableError(ActdError):
    """The signals do not show a delay; the message says why."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One joint over one uninterrupted stretch.

    `command` (n,) was sent at `sent_ns` (n,), `state` (m,) was measured at `measured_ns` (m,);
    both times rise strictly, on one clock.
    """

    sent_ns: Times
    command: Vector
    measured_ns: Times
    state: Vector


@dataclass(frozen=True, slots=True)
class Delay:
    """The lag of the state behind the command.

    `correlation` at that delay is 1 for a perfect copy. `spread_ns` is the standard deviation
    over the `parts` that could be measured on their own, 0 with fewer than two.
    """

    delay_ns: float
    spread_ns: float
    correlation: float
    parts: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `onset_ns` lies between a tenth of the commanded step and a tenth of the
    measured one; the rises are from a tenth to nine tenths.
    """

    onset_ns: float
    rise_ns: float
    command_rise_ns: float


def delay(traces: Sequence[Trace]) -> Delay:
    """The delay that fits all traces of a joint best. Raises NotMeasurableError.

    Searched between EARLIEST_NS and LATEST_NS, and refined below the grid by a parabola through
    the three highest points of the correlation.
    """
    sums = [s for s in (_products(trace) for trace in traces) if s is not None]
    if not sums:
        raise NotMeasurableError(f"no stretch of {SHORTEST_NS / 1e9:g} s without a break")
    best_ns, height = _peak(np.sum(sums, axis=0))
    if height < LEAST_CORRELATION:
        raise NotMeasurableError(
            f"the state follows the command too loosely (correlation {height:.2f}, "
            f"least {LEAST_CORRELATION:g})"
        )
    if best_ns < -GRID_NS:
        raise NotMeasurableError(
            f"the state leads the command by {-best_ns / 1e6:.0f} ms: something else moved the arm"
        )
    if best_ns > LATEST_NS - GRID_NS:
        raise NotMeasurableError(f"the state follows later than {LATEST_NS / 1e6:.0f} ms")
    delays = [ns for ns, own in map(_peak, sums) if own >= LEAST_CORRELATION]
    spread_ns = float(np.std(delays, ddof=1)) if len(delays) > 1 else 0.0
    return Delay(best_ns, spread_ns, height, len(delays))


def step_response(trace: Trace, start_ns: int, end_ns: int) -> Step:
    """The step that begins at `start_ns` and has settled by `end_ns`. Raises NotMeasurableError."""
    command = _share(trace.sent_ns, trace.command, start_ns, end_ns)
    state = _share(trace.measured_ns, trace.state, start_ns, end_ns)
    onset, top = _crossing(*command, 0.1), _crossing(*command, 0.9)
    first, last = _crossing(*state, 0.1), _crossing(*state, 0.9)
    return Step(first - onset, last - first, top - onset)


def _products(trace: Trace) -> Vector | None:
    """Rows: products at every lag, the command's energy, the state's; None when too short."""
    start = max(trace.sent_ns[0], trace.measured_ns[0])
    end = min(trace.sent_ns[-1], trace.measured_ns[-1])
    if end - start < SHORTEST_NS:
        return None
    grid = np.arange(0, end - start, GRID_NS)
    command = _motion(trace.sent_ns - start, trace.command, grid)[_BACK:-_AHEAD]
    state = _motion(trace.measured_ns - start, trace.state, grid)
    products = np.correlate(state, command, mode="valid")
    total = np.concatenate(([0.0], np.cumsum(state**2)))
    energy = total[len(command) :] - total[: len(products)]
    return np.stack([products, np.full(len(products), command @ command), energy])


def _motion(times_ns: Times, values: Vector, grid: Times) -> Vector:
    on_grid = np.interp(grid, times_ns, values)
    # Far from zero the cancellation in the running sum of squares would cost digits.
    return np.convolve(on_grid - on_grid.mean(), _KERNEL, mode="valid")


def _peak(sums: Vector) -> tuple[float, float]:
    """Lag of the highest normalised correlation, in ns, and its value."""
    products, command, state = sums
    height = products / np.sqrt(np.maximum(command * state, 1e-300))
    k = int(np.argmax(height))
    offset = 0.0
    if 0 < k < len(height) - 1:
        left, middle, right = height[k - 1 : k + 2]
        offset = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-12)
    return EARLIEST_NS + (k + offset) * GRID_NS, float(height[k])


def _share(times_ns: Times, values: Vector, start_ns: int, end_ns: int) -> tuple[Times, Vector]:
    """The signal within the step, scaled from 0 where it began to 1 where it settled."""
    before = values[(times_ns >= start_ns - 200_000_000) & (times_ns <= start_ns)]
    after = values[(times_ns > end_ns - (end_ns - start_ns) // 4) & (times_ns <= end_ns)]
    if not len(before) or not len(after):
        raise NotMeasurableError("too few samples around a step")
    height = after.mean() - before.mean()
    noise = max(before.std(), after.std())
    if abs(height) < 20 * noise or height == 0:
        raise NotMeasurableError(
            f"a step of {abs(height):.3g} cannot be told from the noise of {noise:.3g}; "
            "use a larger --amplitude, and check that the joint moves"
        )
    inside = (times_ns > start_ns) & (times_ns <= end_ns)
    return times_ns[inside], (values[inside] - before.mean()) / height


def _crossing(times_ns: Times, share: Vector, level: float) -> float:
    """When `share` first reaches `level`, in ns, interpolated between samples."""
    k = int(np.argmax(share >= level))
    if k == 0:
        return float(times_ns[0])
    part = (level - share[k - 1]) / (share[k] - share[k - 1])
    return float(times_ns[k - 1] + part * (times_ns[k] - times_ns[k - 1]))
