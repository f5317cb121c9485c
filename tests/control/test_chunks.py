"""Chunks looked up by time: the three modes, against what LeRobot answers and by property."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings, describe, ensemble_weights

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "ensembler.npz")
PERIOD_NS = 20_000_000
STEPS = np.arange(3.0)


def buffer(mode: str = "temporal", **changes: object) -> ChunkBuffer:
    values: dict[str, object] = {
        "mode": mode,
        "policy_hz": 50.0,
        "chunk_size": 8,
        "action_dim": 3,
        "n_action_steps": 8,
        "temporal_coeff": 0.01,
        "crossfade_ns": 100_000_000,
    }
    return ChunkBuffer(ChunkSettings(**(values | changes)))  # type: ignore[arg-type]


def ramp(number: int, t_ns: int, *, chunk: int = 8, offset: float = 0.0) -> ActionChunk:
    """A chunk whose value at any time is seconds since zero plus `offset`."""
    times_s = (t_ns + np.arange(chunk) * PERIOD_NS) / 1e9 + offset
    return ActionChunk(number, t_ns, np.repeat(times_s[:, None], 3, axis=1).astype(np.float32))


COEFFS = sorted(key.removeprefix("coeff_") for key in GOLDEN.files if key.startswith("coeff_"))


@pytest.mark.parametrize("coeff", COEFFS)
def test_temporal_equals_lerobot_when_every_tick_has_an_inference(coeff: str) -> None:
    subject = buffer(temporal_coeff=float(coeff))
    for tick, chunk in enumerate(GOLDEN["chunks"]):
        t_ns = 5 * 10**9 + tick * PERIOD_NS
        assert subject.add(ActionChunk(tick + 1, t_ns, chunk))
        sample = subject.at(t_ns)
        assert sample is not None
        np.testing.assert_allclose(sample.action, GOLDEN[f"coeff_{coeff}"][tick], atol=1e-5)
        assert sample.n == min(tick + 1, 8)


def test_golden_covers_both_signs_of_the_coefficient() -> None:
    assert {float(c) > 0 for c in COEFFS} == {True, False}


def test_weights_favour_the_oldest_for_a_positive_coefficient() -> None:
    assert ensemble_weights(0.1, STEPS).tolist() == sorted(
        ensemble_weights(0.1, STEPS), reverse=True
    )
    assert ensemble_weights(-0.1, STEPS).tolist() == sorted(ensemble_weights(-0.1, STEPS))
    assert ensemble_weights(0.0, STEPS) == pytest.approx([1 / 3] * 3)


@given(
    mode=st.sampled_from(["temporal", "queue", "latest"]),
    starts=st.lists(st.integers(0, 400_000_000), min_size=1, max_size=20, unique=True),
    due=st.integers(0, 600_000_000),
)
def test_plans_that_agree_give_the_agreed_action_whatever_their_timing(
    mode: str, starts: list[int], due: int
) -> None:
    subject = buffer(mode)
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
        subject = buffer(mode, crossfade_ns=0)
        subject.add(ActionChunk(1, 0, rows))
        due_ns = round((row + fraction) * PERIOD_NS)
        sample = subject.at(due_ns)
        assert sample is not None
        expected = rows[row] * (1 - fraction) + rows[row + 1] * fraction
        np.testing.assert_allclose(sample.action, expected, atol=1e-5)


def test_a_moment_no_plan_covers_has_no_action() -> None:
    for mode in ("temporal", "queue", "latest"):
        subject = buffer(mode)
        assert subject.at(0) is None
        subject.add(ramp(1, 10 * PERIOD_NS))
        assert subject.at(10 * PERIOD_NS - 1_000_000) is None  # observed after the moment
        assert subject.at(10 * PERIOD_NS) is not None
        assert subject.at(18 * PERIOD_NS - 1000) is not None  # the last row lasts its period
        assert subject.at(18 * PERIOD_NS) is None


def test_a_plan_not_newer_than_the_newest_is_refused() -> None:
    subject = buffer()
    assert subject.add(ramp(1, 100))
    assert not subject.add(ramp(2, 100))
    assert not subject.add(ramp(3, 50))
    assert subject.age_ns(150) == 50


def test_queue_equals_a_fifo_of_n_action_steps() -> None:
    """As LeRobot's select_action: n steps of one chunk, then the chunk predicted at that tick."""
    chunks = GOLDEN["chunks"]
    subject = buffer("queue", n_action_steps=3)
    queue: list[np.ndarray] = []
    for tick, chunk in enumerate(chunks):
        if not queue:
            queue = list(chunk[:3])
        subject.add(ActionChunk(tick + 1, tick * PERIOD_NS, chunk))
        sample = subject.at(tick * PERIOD_NS)
        assert sample is not None
        np.testing.assert_array_equal(sample.action, queue.pop(0))


def test_queue_uses_the_rest_of_a_chunk_when_no_newer_one_came() -> None:
    subject = buffer("queue", n_action_steps=2)
    subject.add(ramp(1, 0))
    sample = subject.at(5 * PERIOD_NS)
    assert sample is not None
    assert sample.action[0] == pytest.approx(0.1, abs=1e-6)


def test_latest_cross_fades_from_chunk_to_chunk() -> None:
    subject = buffer("latest", crossfade_ns=5 * PERIOD_NS)
    zeros, ones = np.zeros((8, 3), np.float32), np.ones((8, 3), np.float32)
    subject.add(ActionChunk(1, 0, zeros))
    assert subject.at(0) is not None
    subject.add(ActionChunk(2, PERIOD_NS, ones))
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
    subject = buffer(mode, max_chunks=16, n_action_steps=4)
    t_ns, due_ns = 0, 0
    for number, gap in enumerate(gaps, start=1):
        t_ns += gap
        subject.add(ActionChunk(number, t_ns, np.full((8, 3), number % 2, np.float32)))
        due_ns = max(due_ns, t_ns + data.draw(st.integers(-30_000_000, 200_000_000)))
        sample = subject.at(due_ns)
        if sample is not None:
            assert np.all((sample.action >= -1e-9) & (sample.action <= 1 + 1e-9))


def test_clear_forgets_everything() -> None:
    for mode in ("temporal", "queue", "latest"):
        subject = buffer(mode)
        subject.add(ramp(1, 0))
        assert subject.at(0) is not None
        subject.clear()
        assert subject.at(PERIOD_NS) is None
        assert subject.age_ns(PERIOD_NS) is None


def test_latest_fades_on_when_the_old_chunk_runs_out() -> None:
    """A late chunk arrives one row before the end of the one in use: still no step."""
    subject = buffer("latest", crossfade_ns=5 * PERIOD_NS)
    subject.add(ActionChunk(1, 0, np.zeros((8, 3), np.float32)))
    assert subject.at(6 * PERIOD_NS) is not None
    subject.add(ActionChunk(2, 5 * PERIOD_NS, np.ones((8, 3), np.float32)))
    times = range(7 * PERIOD_NS, 13 * PERIOD_NS, PERIOD_NS // 10)
    samples = [subject.at(due_ns) for due_ns in times]
    values = np.array([sample.action[0] for sample in samples if sample is not None])
    assert len(values) == len(samples)
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert np.diff(values).max() < 0.05


def test_latest_does_not_fade_from_a_chunk_that_was_over() -> None:
    """After a gap nothing was commanded: the new chunk counts from its first moment."""
    subject = buffer("latest", crossfade_ns=5 * PERIOD_NS)
    subject.add(ActionChunk(1, 0, np.zeros((8, 3), np.float32)))
    assert subject.at(0) is not None
    assert subject.at(9 * PERIOD_NS) is None
    subject.add(ActionChunk(2, 10 * PERIOD_NS, np.ones((8, 3), np.float32)))
    sample = subject.at(10 * PERIOD_NS)
    assert sample is not None
    assert sample.n == 1
    assert sample.action.tolist() == [1.0] * 3


def test_a_missing_chunk_costs_one_longer_fade_and_no_step() -> None:
    """Chunks that say 0, (missing), 1: between two moments never more than the fade's slope."""
    subject = buffer("latest", chunk_size=20, crossfade_ns=4 * PERIOD_NS)
    step_ns = PERIOD_NS // 4
    values = []
    for k in range(30 * 4):
        due_ns = k * step_ns
        if k % 16 == 0 and k != 32:
            actions = np.full((20, 3), float(k > 32), np.float32)
            subject.add(ActionChunk(k + 1, due_ns, actions))
        sample = subject.at(due_ns)
        assert sample is not None
        values.append(float(sample.action[0]))
    assert values[-1] == 1.0
    assert np.abs(np.diff(values)).max() <= 1.5 / 16 + 1e-9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"temporal_coeff": 0.01, "chunk_size": 100},
            "50 rows per second, "
            "temporal, coefficient 0.01 > 0: the oldest of up to 100 predictions weighs most "
            "(0.0157, 0.0156, ..., 0.0058, oldest first); linear between rows",
        ),
        (
            {"temporal_coeff": -0.5, "chunk_size": 3},
            "50 rows per second, "
            "temporal, coefficient -0.5 < 0: the newest of up to 3 predictions weighs most "
            "(0.1863, 0.3072, 0.5065, oldest first); linear between rows",
        ),
        (
            {"temporal_coeff": 0.0},
            "50 rows per second, "
            "temporal, coefficient 0: all of up to 8 predictions weigh the same; "
            "linear between rows",
        ),
        (
            {"mode": "queue", "n_action_steps": 5, "interpolation": ("smooth", "smooth", "hold")},
            "50 rows per second, "
            "queue, 5 of 8 rows of a chunk, then the newest chunk; "
            "smooth (2 of 3), hold (1 of 3) between rows",
        ),
        (
            {"mode": "latest", "interpolation": ("smooth",) * 3},
            "50 rows per second, "
            "latest, the newest chunk, faded in over 100 ms; smooth between rows",
        ),
    ],
)
def test_the_mode_is_described_with_what_its_coefficient_means(
    changes: dict[str, object], words: str
) -> None:
    assert describe(buffer(**changes).settings) == words  # type: ignore[arg-type]


@pytest.mark.parametrize("coeff", [-50.0, 50.0])
def test_extreme_coefficients_stay_finite(coeff: float) -> None:
    weights = ensemble_weights(coeff, np.arange(128.0))
    assert weights[0 if coeff > 0 else -1] == pytest.approx(1.0)
    assert np.isfinite(weights).all()


def test_temporal_keeps_at_most_the_chunks_that_still_count() -> None:
    """Slots go round many times; what is mixed is always the chunks that cover the moment."""
    subject = buffer("temporal", max_chunks=9, temporal_coeff=0.0)
    for tick in range(100):
        subject.add(ActionChunk(tick + 1, tick * PERIOD_NS, np.full((8, 3), tick, np.float32)))
        sample = subject.at(tick * PERIOD_NS)
        assert sample is not None
        covering = np.arange(max(0, tick - 7), tick + 1)
        assert sample.n == len(covering)
        assert sample.action[0] == pytest.approx(covering.mean())


def test_temporal_with_more_plans_than_room_drops_the_oldest() -> None:
    subject = buffer("temporal", max_chunks=4, temporal_coeff=0.0)
    for number in range(10):
        subject.add(ActionChunk(number + 1, number * 1000, np.full((8, 3), number, np.float32)))
    sample = subject.at(PERIOD_NS)
    assert sample is not None
    assert (sample.n, sample.number) == (4, 10)
    assert sample.action[0] == pytest.approx((6 + 7 + 8 + 9) / 4)


def test_a_chunk_that_comes_or_ends_makes_no_step() -> None:
    """Few chunks overlap where inference is slow: none enters or leaves at once."""
    subject = buffer("temporal", policy_hz=10.0, chunk_size=10)
    row_ns = 100_000_000
    subject.add(ActionChunk(1, 0, np.zeros((10, 3), np.float32)), 0, 1 * row_ns)
    values = []
    for tick in range(150):
        now_ns = tick * row_ns // 10
        if tick == 60:
            ones = np.ones((10, 3), np.float32)
            subject.add(ActionChunk(2, 5 * row_ns, ones), 5 * row_ns, now_ns)
        sample = subject.at(now_ns)
        assert sample is not None
        values.append(sample.action[0])
    assert values[59] == 0.0
    assert values[-1] == 1.0
    assert np.diff(values).max() < 0.03  # at once it was 0.5 at tick 60, and again at 100


@settings(max_examples=50, deadline=None)
@given(
    gap=st.floats(1.0, 12.0),
    delay=st.floats(0.0, 12.0),
    coeff=st.sampled_from([0.0, 0.01]),
    values=st.lists(st.floats(-1, 1), min_size=12, max_size=12),
)
def test_no_tick_of_an_ensemble_takes_more_of_a_chunk_than_its_fade_allows(
    gap: float, delay: float, coeff: float, values: list[float]
) -> None:
    subject = buffer("temporal", chunk_size=50, temporal_coeff=coeff)
    ticks_per_row = 3
    before, number = None, 0
    for tick in range(int(((len(values) - 1) * gap + delay) * ticks_per_row)):
        now = tick / ticks_per_row
        while now >= number * gap + delay:
            actions = np.full((50, 3), values[number], np.float32)
            chunk = ActionChunk(number + 1, round(number * gap * PERIOD_NS), actions)
            subject.add(chunk, None, round(now * PERIOD_NS))
            number += 1
        sample = subject.at(round(now * PERIOD_NS))
        if sample is None:
            continue
        if before is not None and gap > 1.5:
            # Chunks are at most 2 apart, and of those that overlap one or more counts fully.
            assert abs(sample.action[0] - before) <= 2.2 / (gap - 1.0) / ticks_per_row
        before = sample.action[0]
    assert before is not None


@pytest.mark.parametrize("rate", [50, 30, 10, 5])
def test_weights_count_time_and_not_how_often_there_is_a_plan(rate: int) -> None:
    """The mean age of what is followed hardly depends on how many chunks there are a second."""
    subject = buffer("temporal", chunk_size=100, temporal_coeff=0.1)
    every_ns = round(1e9 / rate)
    for number in range(3 * rate):
        # A chunk that says how old its observation is, wherever it is read.
        ages = np.arange(100)[:, None] * np.full(3, PERIOD_NS / 1e9)
        subject.add(ActionChunk(number + 1, number * every_ns, ages.astype(np.float32)))
    sample = subject.at(3 * rate * every_ns)
    assert sample is not None
    assert sample.action[0] == pytest.approx(1.75, abs=0.08)  # by count it was 1.79 to 1.06


def test_queue_counts_its_rows_from_the_first_that_is_used() -> None:
    """An inference of three periods takes nothing away from n_action_steps."""
    subject = buffer("queue", chunk_size=8, n_action_steps=4)
    subject.add(ActionChunk(1, 0, np.zeros((8, 3), np.float32)))
    assert subject.at(3 * PERIOD_NS) is not None
    subject.add(ActionChunk(2, 4 * PERIOD_NS, np.ones((8, 3), np.float32)))
    values = [subject.at(k * PERIOD_NS) for k in range(4, 9)]
    assert [float(s.action[0]) for s in values if s is not None] == [0, 0, 0, 1, 1]


def test_queue_goes_on_to_the_newest_when_a_whole_chunk_is_used() -> None:
    subject = buffer("queue", chunk_size=8, n_action_steps=8)
    for k in range(60):
        subject.add(ActionChunk(k + 1, k * PERIOD_NS - 2 * PERIOD_NS, np.zeros((8, 3), np.float32)))
        assert subject.at(k * PERIOD_NS) is not None


def test_the_path_is_what_will_be_due_then() -> None:
    rows = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    for mode in ("temporal", "queue", "latest"):
        settings = buffer(mode, crossfade_ns=0).settings
        ahead, later = ChunkBuffer(settings, 4), ChunkBuffer(settings)
        for subject in (ahead, later):
            subject.add(ActionChunk(1, 0, rows))
        sample = ahead.at(30_000_000)
        assert sample is not None
        for k, row in enumerate(sample.path):
            then = later.at(30_000_000 + k * PERIOD_NS)
            assert then is not None
            np.testing.assert_allclose(row, then.action, atol=1e-12)
        covered = rows[1:7]
        assert (sample.low >= covered.min(axis=0) - 1e-12).all()
        assert (sample.high <= covered.max(axis=0) + 1e-12).all()


def test_a_path_goes_on_with_the_chunk_that_will_be_read_next() -> None:
    subject = ChunkBuffer(buffer("queue", n_action_steps=4).settings, 6)
    subject.add(ActionChunk(1, 0, np.zeros((8, 3), np.float32)))
    assert subject.at(0) is not None
    subject.add(ActionChunk(2, PERIOD_NS, np.ones((8, 3), np.float32)))
    sample = subject.at(PERIOD_NS)
    assert sample is not None
    assert sample.path[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert sample.seam == 3


def test_each_joint_is_read_as_far_ahead_as_it_needs() -> None:
    subject = buffer("queue", latency_ns=(0, 3 * PERIOD_NS, 0))
    subject.add(ramp(1, 0))
    sample = subject.at(2 * PERIOD_NS)
    assert sample is not None
    assert sample.action == pytest.approx([0.04, 0.10, 0.04])
