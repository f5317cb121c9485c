"""Interpolation between rows, per joint: what each kind promises, through the planner."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.plan import Plan, Planner, PlanSettings

PERIOD_NS = 20_000_000
ROWS = 12
KINDS = ("hold", "linear", "smooth")
MODES = ("temporal", "queue", "latest")
Rows = np.ndarray


def planner(mode: str = "queue", kinds: tuple[str, ...] = KINDS, **changes: object) -> Planner:
    settings = PlanSettings(
        mode,  # type: ignore[arg-type]
        50.0,
        ROWS,
        len(kinds),
        ROWS,
        crossfade_ns=3 * PERIOD_NS,
        interpolation=kinds,  # type: ignore[arg-type]
        **changes,  # type: ignore[arg-type]
    )
    return Planner(settings)


def sampled(subject: Planner, start_ns: int, end_ns: int, step_ns: int) -> Rows:
    samples = [subject.at(due_ns) for due_ns in range(start_ns, end_ns, step_ns)]
    return np.array([sample.action for sample in samples if sample is not None])


def wave(seed: int, joints: int = 3) -> Rows:
    return np.random.default_rng(seed).normal(size=(ROWS, joints)).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_passes_exactly_through_the_rows(mode: str) -> None:
    rows = wave(0)
    subject = planner(mode)
    subject.add(Plan(1, 0, rows))
    for k, row in enumerate(rows):
        sample = subject.at(k * PERIOD_NS)
        assert sample is not None
        np.testing.assert_array_equal(sample.action, row)


@given(row=st.integers(0, ROWS - 2), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 99))
def test_each_joint_is_interpolated_its_own_way(row: int, fraction: float, seed: int) -> None:
    rows = wave(seed)
    subject = planner()
    subject.add(Plan(1, 0, rows))
    sample = subject.at(round((row + fraction) * PERIOD_NS))
    assert sample is not None
    low, high = rows[row].astype(float), rows[row + 1].astype(float)
    before, after = rows[max(row - 1, 0)], rows[min(row + 2, ROWS - 1)]
    x = fraction
    # Hermite from its definition: both rows, slopes (high - before) / 2 and (after - low) / 2.
    smooth = (
        (2 * x**3 - 3 * x**2 + 1) * low
        + (x**3 - 2 * x**2 + x) * (high - before) / 2
        + (3 * x**2 - 2 * x**3) * high
        + (x**3 - x**2) * (after - low) / 2
    )
    expected = [low[0], low[1] + x * (high[1] - low[1]), smooth[2]]
    np.testing.assert_allclose(sample.action, expected, atol=1e-5)


@given(seed=st.integers(0, 999))
def test_smooth_has_a_steady_speed_and_linear_has_not(seed: int) -> None:
    """Speed just before and just after every row, the first and the last included."""
    rows = wave(seed, 2)
    subject = planner(kinds=("smooth", "linear"))
    subject.add(Plan(1, 0, rows))
    step = 20_000
    jumps = []
    for k in range(1, ROWS):
        at = k * PERIOD_NS
        before, here, after = sampled(subject, at - step, at + step + 1, step)
        jumps.append(np.abs((after - here) - (here - before)) / (step / PERIOD_NS))
    largest = np.max(jumps, axis=0)
    assert largest[0] < 0.05  # falls with `step`; a step in speed would stay
    assert largest[1] > 0.05


@given(seed=st.integers(0, 999))
def test_smooth_overshoots_by_at_most_an_eighth_of_the_steps_beside(seed: int) -> None:
    rows = wave(seed, 1)
    subject = planner(kinds=("smooth",))
    subject.add(Plan(1, 0, rows))
    padded = np.concatenate((rows[:1], rows, rows[-1:], rows[-1:])).astype(float)[:, 0]
    for k, (low, high) in enumerate(pairwise(padded[1:-1])):
        beside = max(abs(padded[k + 1] - padded[k]), abs(padded[k + 3] - padded[k + 2]))
        inside = sampled(subject, k * PERIOD_NS, (k + 1) * PERIOD_NS, PERIOD_NS // 16)
        assert inside.max() <= max(low, high) + beside / 8 + 1e-5
        assert inside.min() >= min(low, high) - beside / 8 - 1e-5


def test_the_bound_on_the_overshoot_is_reached() -> None:
    rows = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0], np.float32)[:, None]
    subject = planner(kinds=("smooth",))
    subject.add(Plan(1, 0, rows))
    assert sampled(subject, 0, ROWS * PERIOD_NS, 100_000).max() == pytest.approx(1.125)


@pytest.mark.parametrize("mode", MODES)
def test_a_gripper_that_holds_switches_at_its_row_in_every_mode(mode: str) -> None:
    rows = np.zeros((ROWS, 2), np.float32)
    rows[5:] = 1.0
    subject = planner(mode, ("hold", "smooth"))
    subject.add(Plan(1, 0, rows))
    values = sampled(subject, 0, ROWS * PERIOD_NS, 1_000_000)
    assert set(values[:, 0]) == {0.0, 1.0}
    assert ((values[:, 1] > 0.1) & (values[:, 1] < 0.9)).any()


def test_smooth_also_fades_smoothly_from_chunk_to_chunk() -> None:
    """Two flat chunks: all motion is the fade, which starts and ends at rest."""
    subject = planner("latest", ("smooth",))
    subject.add(Plan(1, 0, np.zeros((ROWS, 1), np.float32)))
    subject.at(0)
    subject.add(Plan(2, 4 * PERIOD_NS, np.ones((ROWS, 1), np.float32)))
    values = sampled(subject, 0, 9 * PERIOD_NS, 200_000)[:, 0]
    assert values[0] == 0.0
    assert values[-1] == 1.0
    speeds = np.diff(values)
    assert (speeds >= -1e-12).all()
    assert np.abs(np.diff(speeds)).max() < 0.1 * speeds.max()


@given(
    phases=st.lists(st.integers(1, 40_000_000), min_size=2, max_size=8),
    due=st.floats(0, 1),
    kind=st.sampled_from(["linear", "smooth"]),
)
def test_chunks_of_different_phases_are_mixed_by_time(
    phases: list[int], due: float, kind: str
) -> None:
    """Chunks sampled from one straight line agree between their rows too."""
    subject = planner("temporal", (kind,))
    starts = np.cumsum(phases)
    for number, start in enumerate(starts):
        times_s = (start + np.arange(ROWS) * PERIOD_NS) / 1e9
        subject.add(Plan(number + 1, int(start), times_s[:, None].astype(np.float32)))
    # Where every chunk has a row on both sides, twice.
    first, last = int(starts[-1]) + PERIOD_NS, int(starts[0]) + (ROWS - 2) * PERIOD_NS
    if first > last:
        return
    moment = round(first + due * (last - first))
    sample = subject.at(moment)
    assert sample is not None
    assert sample.n == len(phases)
    assert sample.action[0] == pytest.approx(moment / 1e9, abs=1e-6)
