"""Chunks looked up by time: the three modes, against what LeRobot answers and by property."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.control.plan import Plan, Planner, PlanSettings, ensemble_weights

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "ensembler.npz")
PERIOD_NS = 20_000_000


def planner(mode: str = "temporal", **changes: object) -> Planner:
    values: dict[str, object] = {
        "mode": mode,
        "policy_hz": 50.0,
        "chunk_size": 8,
        "action_dim": 3,
        "n_action_steps": 8,
        "temporal_coeff": 0.01,
        "crossfade_ns": 100_000_000,
    }
    return Planner(PlanSettings(**(values | changes)))  # type: ignore[arg-type]


def ramp(number: int, t_ns: int, *, chunk: int = 8, offset: float = 0.0) -> Plan:
    """A chunk whose value at any time is seconds since zero plus `offset`."""
    times_s = (t_ns + np.arange(chunk) * PERIOD_NS) / 1e9 + offset
    return Plan(number, t_ns, np.repeat(times_s[:, None], 3, axis=1).astype(np.float32))


COEFFS = sorted(key.removeprefix("coeff_") for key in GOLDEN.files if key.startswith("coeff_"))


@pytest.mark.parametrize("coeff", COEFFS)
def test_temporal_equals_lerobot_when_every_tick_has_an_inference(coeff: str) -> None:
    subject = planner(temporal_coeff=float(coeff))
    for tick, chunk in enumerate(GOLDEN["chunks"]):
        t_ns = 5 * 10**9 + tick * PERIOD_NS
        assert subject.add(Plan(tick + 1, t_ns, chunk))
        sample = subject.at(t_ns)
        assert sample is not None
        np.testing.assert_allclose(sample.action, GOLDEN[f"coeff_{coeff}"][tick], atol=1e-5)
        assert sample.n == min(tick + 1, 8)


def test_golden_covers_both_signs_of_the_coefficient() -> None:
    assert {float(c) > 0 for c in COEFFS} == {True, False}


def test_weights_favour_the_oldest_for_a_positive_coefficient() -> None:
    assert ensemble_weights(0.1, 3).tolist() == sorted(ensemble_weights(0.1, 3), reverse=True)
    assert ensemble_weights(-0.1, 3).tolist() == sorted(ensemble_weights(-0.1, 3))
    assert ensemble_weights(0.0, 4) == pytest.approx([0.25] * 4)


@given(
    mode=st.sampled_from(["temporal", "queue", "latest"]),
    starts=st.lists(st.integers(0, 400_000_000), min_size=1, max_size=20, unique=True),
    due=st.integers(0, 600_000_000),
)
def test_plans_that_agree_give_the_agreed_action_whatever_their_timing(
    mode: str, starts: list[int], due: int
) -> None:
    subject = planner(mode)
    for number, start in enumerate(sorted(starts), start=1):
        assert subject.add(ramp(number, start))
    sample = subject.at(due)
    last_row_ns = 7 * PERIOD_NS
    if sample is None:
        assert not max(starts) <= due < max(starts) + last_row_ns
        return
    # Past its last row a chunk repeats it for one period.
    assert abs(sample.action - due / 1e9).max() <= PERIOD_NS / 1e9 + 1e-6


@given(fraction=st.floats(0, 0.999), row=st.integers(0, 6))
def test_between_rows_the_action_is_interpolated(fraction: float, row: int) -> None:
    rows = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    for mode in ("temporal", "queue", "latest"):
        subject = planner(mode, crossfade_ns=0)
        subject.add(Plan(1, 0, rows))
        due_ns = round((row + fraction) * PERIOD_NS)
        sample = subject.at(due_ns)
        assert sample is not None
        expected = rows[row] * (1 - fraction) + rows[row + 1] * fraction
        np.testing.assert_allclose(sample.action, expected, atol=1e-5)


def test_a_moment_no_plan_covers_has_no_action() -> None:
    for mode in ("temporal", "queue", "latest"):
        subject = planner(mode)
        assert subject.at(0) is None
        subject.add(ramp(1, 10 * PERIOD_NS))
        assert subject.at(10 * PERIOD_NS - 1_000_000) is None  # observed after the moment
        assert subject.at(10 * PERIOD_NS) is not None
        assert subject.at(18 * PERIOD_NS - 1000) is not None  # the last row lasts its period
        assert subject.at(18 * PERIOD_NS) is None


def test_a_plan_not_newer_than_the_newest_is_refused() -> None:
    subject = planner()
    assert subject.add(ramp(1, 100))
    assert not subject.add(ramp(2, 100))
    assert not subject.add(ramp(3, 50))
    assert subject.newest_observation_ns == 100


def test_queue_equals_a_fifo_of_n_action_steps() -> None:
    """As LeRobot's select_action: n steps of one chunk, then the chunk predicted at that tick."""
    chunks = GOLDEN["chunks"]
    subject = planner("queue", n_action_steps=3)
    queue: list[np.ndarray] = []
    for tick, chunk in enumerate(chunks):
        if not queue:
            queue = list(chunk[:3])
        subject.add(Plan(tick + 1, tick * PERIOD_NS, chunk))
        sample = subject.at(tick * PERIOD_NS)
        assert sample is not None
        np.testing.assert_array_equal(sample.action, queue.pop(0))


def test_queue_uses_the_rest_of_a_chunk_when_no_newer_one_came() -> None:
    subject = planner("queue", n_action_steps=2)
    subject.add(ramp(1, 0))
    sample = subject.at(5 * PERIOD_NS)
    assert sample is not None
    assert sample.action[0] == pytest.approx(0.1, abs=1e-6)


def test_latest_cross_fades_from_chunk_to_chunk() -> None:
    subject = planner("latest", crossfade_ns=5 * PERIOD_NS)
    zeros, ones = np.zeros((8, 3), np.float32), np.ones((8, 3), np.float32)
    subject.add(Plan(1, 0, zeros))
    assert subject.at(0) is not None
    subject.add(Plan(2, PERIOD_NS, ones))
    first_fade = [subject.at(k * PERIOD_NS) for k in range(5, 8)]
    values = [float(sample.action[0]) for sample in first_fade if sample is not None]
    assert values[0] == 0.0
    assert np.all(np.diff(values) > 0)
    assert values[-1] < 1.0


@settings(max_examples=50)
@given(st.lists(st.integers(1, 60_000_000), min_size=1, max_size=60), st.data())
def test_any_arrival_order_never_fails_and_stays_between_the_plans(
    gaps: list[int], data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(["temporal", "queue", "latest"]))
    subject = planner(mode, max_plans=16, n_action_steps=4)
    t_ns, due_ns = 0, 0
    for number, gap in enumerate(gaps, start=1):
        t_ns += gap
        subject.add(Plan(number, t_ns, np.full((8, 3), number % 2, np.float32)))
        due_ns = max(due_ns, t_ns + data.draw(st.integers(-30_000_000, 200_000_000)))
        sample = subject.at(due_ns)
        if sample is not None:
            assert np.all((sample.action >= -1e-9) & (sample.action <= 1 + 1e-9))


def test_clear_forgets_everything() -> None:
    for mode in ("temporal", "queue", "latest"):
        subject = planner(mode)
        subject.add(ramp(1, 0))
        assert subject.at(0) is not None
        subject.clear()
        assert subject.at(PERIOD_NS) is None
        assert subject.newest_observation_ns is None
