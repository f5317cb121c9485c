"""The plan's clock runs with the real one, and slower for all while one joint cannot follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actd.control.chunks import ActionChunk, ChunkBuffer
from actd.control.limits import Flag, Limits
from actd.control.time_scaling import ScaledClock
from actd.mode import Mode
from tests.control.judge import distance_from
from tests.control.rig import Rig, settings

PERIOD_NS = 20_000_000
T = np.arange(380) / 50.0


def clock(**limits: float) -> ScaledClock:
    values = {"lower": -9.0, "upper": 9.0, "velocity": 1.5, "acceleration": 8.0} | limits
    one = Limits(**{name: np.array([value]) for name, value in values.items()})
    return ScaledClock(one, np.array([0.005]), np.array([True]), 50.0, PERIOD_NS)


def path(*velocities: float) -> np.ndarray:
    """Rows with these speeds between them."""
    return np.concatenate([[0.0], np.cumsum(velocities)])[:, None] / 50.0


def follow(subject: ScaledClock, rows: np.ndarray, ticks: int = 60, **options: Any) -> None:
    behind = np.array([options.get("behind", 0.0)])
    for tick in range(1, ticks + 1):
        due_ns = 10**9 + tick * PERIOD_NS
        moving = np.array([options.get("moving", 1.0)])
        most = options.get("most", 1.0)
        subject.follow(due_ns, rows, len(rows), behind, moving, most=most)


def test_a_path_within_the_limits_is_followed_at_full_rate() -> None:
    subject = clock()
    follow(subject, path(*[1.0] * 12))
    assert subject.rate == 1.0


def test_too_fast_a_path_slows_it_to_the_limit() -> None:
    subject = clock()
    follow(subject, path(*[3.0] * 12))
    assert subject.rate == pytest.approx(0.5)


def test_a_stop_ahead_slows_it_before() -> None:
    subject = clock(acceleration=2.0)
    follow(subject, path(*[1.5] * 20))
    assert subject.rate == 1.0
    follow(subject, path(*[1.5] * 4, *[0.0] * 16))
    assert subject.rate < 0.6


def test_a_command_behind_its_plan_is_waited_for() -> None:
    """Also one that goes as fast as its plan: after a step of the plan it has to catch up."""
    subject = clock()
    follow(subject, path(*[1.0] * 12), behind=0.07, moving=1.0)
    assert subject.rate == 1.0
    follow(subject, path(*[1.0] * 12), behind=0.2, moving=1.0)
    assert 0 < subject.rate < 1
    follow(subject, path(*[1.0] * 12), behind=0.5, moving=1.0)
    assert subject.rate == 0.0


def test_a_joint_that_falls_behind_sets_the_pace() -> None:
    """Within ten tolerances it may still fall further behind, beyond them not at all."""
    subject = clock()
    rates = []
    for behind in (0.0, 0.02, 0.04, 0.05, 0.06):
        follow(subject, path(*[1.4] * 12), behind=behind, moving=0.35)
        rates.append(subject.rate)
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert rates[3:] == pytest.approx([0.25, 0.25])
    follow(subject, path(*[1.4] * 12), behind=0.05, moving=-0.1)
    assert subject.rate == 0.0  # it still moves the other way


def test_a_joint_that_is_ahead_of_its_plan_is_not_waited_for() -> None:
    subject = clock()
    follow(subject, path(*[1.0] * 12), behind=-0.03, moving=1.0)
    assert subject.rate == 1.0


def test_a_joint_that_is_not_waited_for_slows_nothing() -> None:
    both = Limits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, 1.5), np.full(2, 8.0))
    subject = ScaledClock(both, np.full(2, 0.005), np.array([True, False]), 50.0, PERIOD_NS)
    rows = np.zeros((12, 2))
    rows[3:, 1] = 1.0
    for tick in range(1, 60):
        subject.follow(tick * PERIOD_NS, rows, len(rows), np.zeros(2), np.zeros(2), most=1.0)
    assert subject.rate == 1.0


def test_a_moment_of_the_past_is_known_while_the_rate_changes() -> None:
    subject = clock()
    subject.stand(10**9)
    begin_ns = subject.now_ns
    for tick in range(1, 11):
        subject.stand(10**9 + tick * PERIOD_NS)
    assert subject.now_ns == begin_ns
    seen = {}
    for tick in range(11, 60):
        due_ns = 10**9 + tick * PERIOD_NS
        rows = path(*[3.0 if tick > 30 else 1.0] * 12)
        subject.follow(due_ns, rows, 13, np.zeros(1), np.zeros(1), most=1.0)
        seen[due_ns] = subject.now_ns
    for due_ns, scaled_ns in seen.items():
        assert subject.scaled_ns(due_ns) == pytest.approx(scaled_ns, abs=2)
    assert subject.scaled_ns(0) == begin_ns


def test_slots_that_were_skipped_cost_the_plan_nothing() -> None:
    subject = clock()
    follow(subject, path(*[1.0] * 12), 50)
    before_ns = subject.now_ns
    due_ns = 10**9 + 55 * PERIOD_NS
    subject.follow(due_ns, path(*[1.0] * 12), 13, np.zeros(1), np.zeros(1), most=1.0)
    assert subject.now_ns - before_ns == PERIOD_NS


PATHS = {
    "line": np.stack([0.8 * np.sin(1.5 * T)] * 2, 1),
    "circle": np.stack([0.5 * np.sin(2 * T), 0.5 * (1 - np.cos(2 * T))], 1),
    "zigzag": np.stack([0.3 * np.abs((2 * T) % 2 - 1), T / 16], 1),
    "fast circle": np.stack([0.3 * np.sin(5 * T), 0.3 * (1 - np.cos(5 * T))], 1),
}
# Joints of 1.5 rad/s and 8 rad/s^2, but for one that is slow in one way or the other, or both.
SLOW = {
    "slow": ([1.5, 0.5], [8.0, 8.0]),
    "slow and weak": ([1.5, 0.2], [8.0, 2.0]),
    "weak": ([1.5, 1.5], [8.0, 1.0]),
}


def drawn(shape: str, slow: str, mode: str, hz: float = 50.0, kind: str = "linear") -> Rig:
    """An arm of which one joint cannot follow, after 6 s of a path."""
    rows = PATHS[shape]
    velocity, acceleration = SLOW[slow]
    arm = settings(
        hz=hz,
        mode=mode,
        velocity=velocity,
        acceleration=acceleration,
        interpolation=(kind,) * 2,
        chunk_size=400,
        n_action_steps=400,
    )
    rig = Rig(arm, rows[0]).armed(rows)
    rig.run(int(6 * hz))
    assert {output.mode for output in rig.outputs[1:]} == {Mode.ARMED}
    assert any(output.flags & Flag.SLOWED for output in rig.outputs)
    return rig


@pytest.mark.parametrize("shape", ["line", "circle", "zigzag"])
@pytest.mark.parametrize("mode", ["queue", "latest", "temporal"])
def test_the_hand_stays_on_its_path_while_one_joint_is_slow(shape: str, mode: str) -> None:
    """Clamped each for itself the joints were up to 0.63 rad off the line."""
    rig = drawn(shape, "slow", mode)
    assert distance_from(PATHS[shape], rig.commands()) < 0.006


@pytest.mark.parametrize("shape", PATHS)
@pytest.mark.parametrize("slow", ["slow and weak", "weak"])
@pytest.mark.parametrize("kind", ["linear", "smooth"])
def test_the_hand_stays_near_its_path_while_one_joint_is_weak(
    shape: str, slow: str, kind: str
) -> None:
    """An arm that begins in full motion, and corners, cost most; 0.15 rad where nothing waits."""
    rig = drawn(shape, slow, "queue", kind=kind)
    assert distance_from(PATHS[shape], rig.commands()) < 0.05


def test_at_many_ticks_per_row_the_hand_stays_on_its_path_as_well() -> None:
    assert distance_from(PATHS["circle"], drawn("circle", "weak", "queue", 200.0).commands()) < 0.05


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    hz=st.sampled_from([10.0, 50.0, 100.0, 500.0, 1000.0]),
    policy_hz=st.sampled_from([3.0, 10.0, 30.0, 50.0, 100.0]),
    mode=st.sampled_from(["queue", "latest", "temporal"]),
    omega=st.tuples(st.floats(0.5, 3), st.floats(0.5, 3)),
    velocity=st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)),
    stiffness=st.tuples(st.floats(1, 30), st.floats(1, 30)),
    share=st.floats(0.1, 0.9),
    latency_ms=st.sampled_from([0, 40]),
)
def test_a_plan_within_the_limits_is_played_exactly_by_time(  # noqa: PLR0917
    hz: float,
    policy_hz: float,
    mode: str,
    omega: tuple[float, float],
    velocity: tuple[float, float],
    stiffness: tuple[float, float],
    share: float,
    latency_ms: int,
) -> None:
    """With up to 0.9 of any limit: at the full rate, each command the plan's own for its moment."""
    limit, swing = np.array(velocity), np.array(omega)
    acceleration = limit * np.array(stiffness)
    amplitude = np.minimum(0.9, share * np.minimum(limit / swing, acceleration / swing**2))
    stopping_s = float((2 * limit / acceleration).max())
    seconds = 1.5
    chunk = int((seconds + stopping_s) * policy_hz) + 12
    times = np.arange(chunk) / policy_hz - 5 / policy_hz  # five rows at rest, to begin in step
    rows = amplitude * (1 - np.cos(np.maximum(times, 0.0)[:, None] * swing))
    arm = settings(
        hz=hz,
        policy_hz=policy_hz,
        mode=mode,
        chunk_size=chunk,
        n_action_steps=chunk,
        velocity=limit,
        acceleration=acceleration,
        interpolation=("smooth",) * 2,
        latency_ns=(0, latency_ms * 1_000_000),
    )
    rig = Rig(arm, rows[0]).armed(rows)
    outputs = rig.run(min(250, int((seconds + 4 / policy_hz) * hz)))
    buffer = ChunkBuffer(arm.chunk)
    buffer.add(ActionChunk(1, 0, rows.astype(np.float32)))
    for tick, output in enumerate(outputs, start=1):
        # The first tick after arming is the first at the full rate.
        sample = buffer.at(tick * arm.period_ns)
        assert sample is not None
        assert output.action is not None
        np.testing.assert_allclose(output.action, sample.action, rtol=0, atol=1e-12)
        assert output.flags == 0


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=40),
    velocity=st.floats(0.2, 10),
    acceleration=st.floats(0.5, 100),
    behind=st.floats(-1, 1),
    speed=st.floats(-3, 3),
    most=st.floats(0, 1),
)
def test_the_rate_is_never_negative_nor_above_what_is_asked(  # noqa: PLR0917
    rows: list[tuple[float, float]],
    velocity: float,
    acceleration: float,
    behind: float,
    speed: float,
    most: float,
) -> None:
    both = Limits(np.full(2, -9.0), np.full(2, 9.0), np.full(2, velocity), np.full(2, acceleration))
    subject = ScaledClock(both, np.full(2, 0.005), np.array([True, True]), 50.0, PERIOD_NS)
    chunk, last_ns = np.array(rows), 0
    for tick in range(1, 20):
        both_behind, moving = np.array([behind, 0.0]), np.array([speed, -speed])
        subject.follow(tick * PERIOD_NS, chunk, len(chunk), both_behind, moving, most=most)
        assert 0.0 <= subject.rate <= most
        assert 0 <= subject.now_ns - last_ns <= PERIOD_NS + 1
        last_ns = subject.now_ns
