"""Interpolation between rows, per joint: what each kind promises, through the planner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkMode, ChunkSettings
from actd.control.interpolation import Interpolation, Interpolator

PERIOD_NS = 20_000_000
ROWS = 12
MODES: tuple[ChunkMode, ...] = ("temporal", "queue", "latest")
Rows = NDArray[np.float32]
KINDS: tuple[Interpolation, ...] = ("hold", "linear", "smooth")
# The uniform cubic B-spline by its definition, for the rows before, at, after and second after.
BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


def buffer(mode: ChunkMode = "queue", kinds: tuple[Interpolation, ...] = KINDS) -> ChunkBuffer:
    return ChunkBuffer(
        ChunkSettings(
            mode, 50.0, ROWS, len(kinds), ROWS, crossfade_ns=3 * PERIOD_NS, interpolation=kinds
        )
    )


def sampled(subject: ChunkBuffer, start_ns: int, end_ns: int, step_ns: int) -> Vector:
    samples = [subject.at(due_ns) for due_ns in range(start_ns, end_ns, step_ns)]
    return np.array([sample.action for sample in samples if sample is not None])


def wave(seed: int, joints: int = 3) -> Rows:
    return np.random.default_rng(seed).normal(size=(ROWS, joints)).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_hold_and_linear_pass_exactly_through_the_rows(mode: ChunkMode) -> None:
    rows = wave(0, 2)
    subject = buffer(mode, ("hold", "linear"))
    subject.add(ActionChunk(1, 0, rows))
    for k, row in enumerate(rows):
        sample = subject.at(k * PERIOD_NS)
        assert sample is not None
        np.testing.assert_array_equal(sample.action, row)


@pytest.mark.parametrize("mode", MODES)
def test_smooth_passes_a_row_at_a_sixth_of_the_bend_there(mode: ChunkMode) -> None:
    rows = wave(0, 1)
    subject = buffer(mode, ("smooth",))
    subject.add(ActionChunk(1, 0, rows))
    padded = np.concatenate((rows[:1], rows, rows[-1:])).astype(float)
    bends = padded[:-2] - 2 * padded[1:-1] + padded[2:]
    at_rows = sampled(subject, 0, ROWS * PERIOD_NS, PERIOD_NS)
    np.testing.assert_allclose(at_rows, padded[1:-1] + bends / 6, atol=1e-12)


@given(row=st.integers(0, ROWS - 2), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 99))
def test_each_joint_is_interpolated_its_own_way(row: int, fraction: float, seed: int) -> None:
    rows = wave(seed)
    subject = buffer()
    subject.add(ActionChunk(1, 0, rows))
    sample = subject.at(round((row + fraction) * PERIOD_NS))
    assert sample is not None
    around = rows[np.clip(np.arange(row - 1, row + 3), 0, ROWS - 1)].astype(float)
    low, high = around[1], around[2]
    spline = fraction ** np.arange(4) @ BASIS @ around
    expected = [low[0], low[1] + fraction * (high[1] - low[1]), spline[2]]
    np.testing.assert_allclose(sample.action, expected, atol=1e-5)


@settings(max_examples=50)
@given(seed=st.integers(0, 999))
def test_smooth_has_a_steady_speed_and_acceleration_and_linear_no_steady_speed(seed: int) -> None:
    """Just before and just after every row, the first and the last included."""
    rows = wave(seed, 2)
    subject = buffer(kinds=("smooth", "linear"))
    subject.add(ActionChunk(1, 0, rows))
    step = 20_000
    share = step / PERIOD_NS
    speeds, bends = [], []
    for k in range(1, ROWS - 1):
        at = k * PERIOD_NS
        values = sampled(subject, at - 3 * step, at + 3 * step + 1, step)
        speed = np.diff(values, axis=0) / share
        bend = np.diff(speed, axis=0) / share
        speeds.append(np.abs(speed[3] - speed[2]))
        bends.append(np.abs(bend[-1] - bend[0]))
    assert np.max(speeds, axis=0)[0] < 0.05  # falls with `step`; a step in speed would stay
    assert np.max(speeds, axis=0)[1] > 0.05
    assert np.max(bends, axis=0)[0] < 0.1


@settings(max_examples=60)
@given(
    seed=st.integers(0, 9999),
    kind=st.sampled_from(KINDS),
    mode=st.sampled_from(MODES),
    starts=st.lists(st.integers(0, 100_000_000), min_size=1, max_size=5, unique=True),
)
def test_nothing_lies_beyond_the_rows(
    seed: int, kind: Interpolation, mode: ChunkMode, starts: list[int]
) -> None:
    """Of one chunk not even beyond the rows around the moment."""
    subject = buffer(mode, (kind,))
    chunks = [wave(seed + k, 1) for k in range(len(starts))]
    for k, start in enumerate(sorted(starts)):
        subject.add(ActionChunk(k + 1, start, chunks[k]))
    values = sampled(subject, 0, ROWS * PERIOD_NS + 100_000_000, 3_700_000)
    low, high = np.min(chunks), np.max(chunks)
    eps = 1e-12
    assert (values >= low - eps).all()
    assert (values <= high + eps).all()
    if len(starts) == 1:
        for moment in range(0, ROWS * PERIOD_NS, 3_700_000):
            sample = subject.at(starts[0] + moment)
            assert sample is not None
            row = moment // PERIOD_NS
            around = chunks[0][max(0, row - 1) : row + 3]
            assert around.min() - eps <= sample.action[0] <= around.max() + eps


@settings(max_examples=60)
@given(seed=st.integers(0, 999), passed=st.floats(0, 0.999), kind=st.sampled_from(KINDS))
def test_a_straight_line_stays_one_wherever_it_is_read(
    seed: int, passed: float, kind: Interpolation
) -> None:
    """`hold` lags by the fraction of a row that has passed; the others are exact."""
    slope, offset = np.random.default_rng(seed).normal(size=2)
    subject = Interpolator((kind,))
    times = np.arange(len(subject.offsets) + 4) + float(subject.offsets[0])
    rows = (offset + slope * times)[None, :, None]
    ahead, mean = subject.mix(np.array([passed]), np.ones(1), rows)
    read = np.arange(5) + (0.0 if kind == "hold" else passed)
    np.testing.assert_allclose(ahead[:, 0], offset + slope * read, atol=1e-9)
    np.testing.assert_allclose(mean, rows[0], atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_a_gripper_that_holds_switches_at_its_row_in_every_mode(mode: ChunkMode) -> None:
    rows = np.zeros((ROWS, 2), np.float32)
    rows[5:] = 1.0
    subject = buffer(mode, ("hold", "smooth"))
    subject.add(ActionChunk(1, 0, rows))
    values = sampled(subject, 0, ROWS * PERIOD_NS, 1_000_000)
    assert values[:, 0].tolist() == [0.0] * 100 + [1.0] * 140
    assert ((values[:, 1] > 0.1) & (values[:, 1] < 0.9)).any()


def test_smooth_also_fades_smoothly_from_chunk_to_chunk() -> None:
    """Two flat chunks: all motion is the fade, which starts and ends at rest."""
    subject = buffer("latest", ("smooth",))
    subject.add(ActionChunk(1, 0, np.zeros((ROWS, 1), np.float32)))
    subject.at(0)
    subject.add(ActionChunk(2, 4 * PERIOD_NS, np.ones((ROWS, 1), np.float32)))
    values = sampled(subject, 0, 9 * PERIOD_NS, 200_000)[:, 0]
    assert values[0] == 0.0
    assert values[-1] == pytest.approx(1.0, abs=1e-12)
    speeds = np.diff(values)
    assert (speeds >= -1e-12).all()
    assert np.abs(np.diff(speeds)).max() < 0.1 * speeds.max()


@settings(max_examples=60)
@given(
    phases=st.lists(st.integers(1, 40_000_000), min_size=2, max_size=8),
    due=st.floats(0, 1),
    kind=st.sampled_from(["linear", "smooth"]),
)
def test_chunks_of_different_phases_are_mixed_by_time(
    phases: list[int], due: float, kind: Interpolation
) -> None:
    """Chunks sampled from one straight line agree between their rows too."""
    subject = buffer("temporal", (kind,))
    starts = np.cumsum(phases)
    for number, start in enumerate(starts):
        times_s = (start + np.arange(ROWS) * PERIOD_NS) / 1e9
        subject.add(ActionChunk(number + 1, int(start), times_s[:, None].astype(np.float32)))
    # Where every chunk has a row on both sides, twice.
    first, last = int(starts[-1]) + PERIOD_NS, int(starts[0]) + (ROWS - 2) * PERIOD_NS
    if first > last:
        return
    moment = round(first + due * (last - first))
    sample = subject.at(moment)
    assert sample is not None
    assert sample.n == len(phases)
    assert sample.action[0] == pytest.approx(moment / 1e9, abs=1e-6)
