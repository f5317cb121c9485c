"""The jerk limit, by property: it holds beside the others, and costs no other promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.control.guard import LIMIT_FLAGS, Flag, Guard, Limits

INF = float("inf")


def limits(*jerks: float, velocity: float = 2, accel: float = 10) -> Limits:
    joints = len(jerks)
    return Limits(
        lower=np.full(joints, -1.0),
        upper=np.full(joints, 1.0),
        velocity=np.full(joints, float(velocity)),
        acceleration=np.full(joints, float(accel)),
        jerk=np.array(jerks),
    )


def guard_at(position: float, *jerks: float, rate_hz: int = 100, **changes: float) -> Guard:
    guard = Guard(limits(*jerks, **changes), 10**9 // rate_hz)
    guard.reset(np.full(len(jerks), position))
    return guard


# What is asked for: a target, or None to brake; each for a number of periods.
orders = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-3, 3), st.floats(-1e3, 1e3)), st.integers(1, 30)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(
    orders=orders,
    start=st.floats(-1, 1),
    velocity=st.floats(0.05, 50),
    accel=st.floats(0.1, 500),
    sharpness=st.floats(0.3, 1000),
    rate_hz=st.sampled_from([10, 50, 200, 1000]),
)
def test_position_velocity_acceleration_and_jerk_hold_at_every_step(  # noqa: PLR0917
    orders: list[tuple[float | None, int]],
    start: float,
    velocity: float,
    accel: float,
    sharpness: float,
    rate_hz: int,
) -> None:
    """Also when braking, turning round and arriving at a wall; jerk is `sharpness` * accel."""
    guard = guard_at(start, sharpness * accel, rate_hz=rate_hz, velocity=velocity, accel=accel)
    dt = 1 / rate_hz
    rounding = 1e-14 + 1e-11 * velocity * dt
    last, speed, change = start, 0.0, 0.0
    for target, periods in orders:
        for _ in range(periods):
            if target is None:
                command = float(guard.brake()[0])
            else:
                command = float(guard.step(np.array([target]))[0][0])
            assert -1 <= command <= 1
            moved = (command - last) / dt
            assert abs(moved) <= velocity * (1 + 1e-6) + rounding / dt
            changed = (moved - speed) / dt
            assert abs(changed) <= accel * (1 + 1e-6) + rounding / dt**2
            assert abs(changed - change) / dt <= sharpness * accel * (1 + 1e-6) + rounding / dt**3
            last, speed, change = command, moved, changed


@settings(max_examples=100, deadline=None)
@given(orders=orders, start=st.floats(-1, 1))
def test_a_joint_without_a_jerk_limit_does_not_notice_one_beside_it(
    orders: list[tuple[float | None, int]], start: float
) -> None:
    alone, beside = guard_at(start, INF), guard_at(start, INF, 50.0)
    for target, periods in orders:
        for _ in range(periods):
            if target is None:
                one, two = alone.brake(), beside.brake()
            else:
                one, _ = alone.step(np.array([target]))
                two, _ = beside.step(np.array([target, target]))
            assert one[0] == two[0]


@settings(max_examples=20, deadline=None)
@given(target=st.floats(-1, 1), start=st.floats(-1, 1), jerk=st.floats(60, 5000))
def test_a_target_that_stands_still_is_reached_without_overshoot(
    target: float, start: float, jerk: float
) -> None:
    guard = guard_at(start, jerk)
    side = np.sign(target - start)
    for _ in range(1200):
        command = float(guard.step(np.array([target]))[0][0])
        assert (target - command) * side >= -1e-9
    assert command == pytest.approx(target, abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(orders=orders, jerk=st.floats(30, 10_000))
def test_braking_comes_to_rest(orders: list[tuple[float | None, int]], jerk: float) -> None:
    guard = guard_at(0.0, jerk)
    for target, periods in orders:
        for _ in range(periods):
            guard.brake() if target is None else guard.step(np.array([target]))
    # Losing the speed, and taking up and giving back the change of speed on the way.
    needed_s = 2 / 10 + 3 * 10 / jerk
    for _ in range(int(needed_s * 100) + 10):
        guard.brake()
    assert guard.at_rest
    rest = guard.position
    np.testing.assert_array_equal(guard.brake(), rest)


def test_a_trajectory_within_all_limits_passes_unchanged() -> None:
    guard = guard_at(0.0, 100.0)
    times = np.arange(800) / 100
    # Starts with no speed and no acceleration; its jerk is at most 0.5 * 1.5**3 * 12 < 100.
    wanted = 0.5 * np.sin(1.5 * times) ** 4
    for value in wanted:
        command, flags = guard.step(np.array([value]))
        assert command[0] == pytest.approx(value, abs=1e-12)
        assert flags == 0


def test_the_limit_says_that_it_acted_and_on_which_joint() -> None:
    guard = guard_at(0.0, INF, 50.0)
    _, flags = guard.step(np.array([0.0005, 0.0005]))
    assert flags == Flag.JERK
    acted = dict(zip(LIMIT_FLAGS, guard.acted.tolist(), strict=True))
    assert acted[Flag.JERK] == [False, True]
    assert not any(any(joints) for flag, joints in acted.items() if flag is not Flag.JERK)


def test_acted_names_every_limit_per_joint() -> None:
    guard = guard_at(0.0, INF, INF, INF, accel=1e6)
    guard.step(np.array([1.5, 0.9, 0.001]))
    position, velocity, acceleration, jerk = guard.acted.tolist()
    assert position == [True, False, False]
    assert velocity == [True, True, False]
    assert acceleration == jerk == [False] * 3
    guard.step(guard.position)
    assert not guard.acted.any() or guard.acted[2].any()
