"""The guard, by property: no command breaks a limit, whatever the targets are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.control.guard import Flag, Guard, Limits

PERIOD_NS = 20_000_000
DT = PERIOD_NS / 1e9


def limits(
    lower: float = -1,
    upper: float = 1,
    velocity: float = 2,
    accel: float = 10,
    jerk: float = float("inf"),
) -> Limits:
    values = (lower, upper, velocity, accel, jerk)
    return Limits(*(np.array([value], dtype=float) for value in values))


def guard_at(position: float, **changes: float) -> Guard:
    guard = Guard(limits(**changes), PERIOD_NS)
    guard.reset(np.array([position]))
    return guard


def step(guard: Guard, target: float) -> tuple[float, int]:
    command, flags = guard.step(np.array([target]))
    return float(command[0]), flags


targets = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200)


@settings(max_examples=300)
@given(
    targets=targets,
    start=st.floats(-1, 1),
    velocity=st.floats(0.05, 50),
    accel=st.floats(0.1, 500),
    rate_hz=st.sampled_from([10, 50, 200, 1000]),
)
def test_no_command_breaks_a_limit(
    targets: list[float], start: float, velocity: float, accel: float, rate_hz: int
) -> None:
    period_ns = 10**9 // rate_hz
    dt = period_ns / 1e9
    guard = Guard(limits(velocity=velocity, accel=accel), period_ns)
    guard.reset(np.array([start]))
    last, last_velocity = start, 0.0
    for target in targets:
        command, _ = step(guard, target)
        speed = (command - last) / dt
        assert -1 - 1e-12 <= command <= 1 + 1e-12
        assert abs(speed) <= velocity * (1 + 1e-6) + 1e-9
        assert abs(speed - last_velocity) <= accel * dt * (1 + 1e-6) + 1e-7 / dt * 1e-3
        last, last_velocity = command, speed


@settings(max_examples=200)
@given(targets=targets, start=st.floats(-1, 1), target=st.floats(-1, 1))
def test_a_target_that_stands_still_is_reached_without_overshoot(
    targets: list[float], start: float, target: float
) -> None:
    guard = guard_at(start)
    for before in targets[:50]:
        step(guard, before)
    while not guard.at_rest:
        guard.brake()
    side = np.sign(target - guard.position[0])
    for _ in range(400):
        command, _ = step(guard, target)
        assert (target - command) * side >= -1e-9
    assert command == pytest.approx(target, abs=1e-9)


def test_a_smooth_trajectory_within_the_limits_passes_unchanged() -> None:
    guard = guard_at(0.0, velocity=2, accel=10)
    times = np.arange(500) * DT
    wanted = 0.5 * (1 - np.cos(1.5 * times)) * 0.9
    for value in wanted:
        command, flags = step(guard, float(value))
        assert command == pytest.approx(float(value), abs=1e-12)
        assert flags == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_brakes_and_says_so(bad: float) -> None:
    guard = guard_at(0.0)
    for _ in range(10):
        step(guard, 1.0)
    last, speed = float(guard.position[0]), float(guard.velocity[0])
    command, flags = step(guard, bad)
    assert flags == Flag.NON_FINITE
    assert last < command < last + speed * DT


def test_one_bad_joint_brakes_all() -> None:
    both = Limits(
        *(np.repeat(v, 2) for v in (limits().lower, limits().upper)),
        np.array([2.0, 2.0]),
        np.array([10.0, 10.0]),
        np.array([np.inf, np.inf]),
    )
    guard = Guard(both, PERIOD_NS)
    guard.reset(np.zeros(2))
    command, flags = guard.step(np.array([0.5, np.nan]))
    assert flags == Flag.NON_FINITE
    assert command.tolist() == [0.0, 0.0]


@given(start=st.floats(-1, 1), steps=st.integers(0, 60), target=st.floats(-1, 1))
def test_braking_comes_to_rest_within_the_limits(start: float, steps: int, target: float) -> None:
    guard = guard_at(start)
    for _ in range(steps):
        step(guard, target)
    speed = abs(float(guard.velocity[0]))
    needed = int(np.ceil(speed / (10 * DT) - 1e-9))
    for _ in range(needed):
        position = float(guard.brake()[0])
        assert -1 - 1e-12 <= position <= 1 + 1e-12
    assert guard.at_rest or abs(guard.velocity[0]) < 1e-9


def test_each_limit_reports_that_it_acted() -> None:
    assert step(guard_at(0.99), 1.5)[1] & Flag.POSITION
    assert step(guard_at(0.0, accel=1e6), 1.0)[1] == Flag.VELOCITY
    assert step(guard_at(0.0), 0.03)[1] == Flag.ACCELERATION
    assert step(guard_at(0.0), 0.001)[1] == 0


def test_an_arm_found_outside_its_limits_only_moves_inwards() -> None:
    guard = guard_at(1.5)
    last = 1.5
    for _ in range(300):
        command, _ = step(guard, 5.0)
        assert command <= last + 1e-12
        last = command
    assert last == pytest.approx(1.0, abs=1e-9)


def test_reset_copies_the_pose() -> None:
    pose = np.array([0.5])
    guard = Guard(limits(), PERIOD_NS)
    guard.reset(pose)
    pose[0] = 0.9
    assert guard.position[0] == 0.5


@pytest.mark.parametrize("jerk", [float("inf"), 500.0])
@settings(max_examples=50, deadline=None)
@given(speed=st.floats(0.6, 4), side=st.sampled_from([-1.0, 1.0]), past=st.floats(0, 2))
def test_a_target_that_runs_into_a_wall_is_left_in_time(
    jerk: float, speed: float, side: float, past: float
) -> None:
    """The target moves steadily up to a position limit, or past it, and stays there."""
    guard = guard_at(0.0, jerk=jerk)
    last, last_speed = 0.0, 0.0
    for tick in range(300):
        command, _ = step(guard, side * min(tick * DT * speed, 1 + past))
        assert abs(command) <= 1
        now = (command - last) / DT
        assert abs(now - last_speed) <= 10 * DT * (1 + 1e-6) + 1e-9
        last, last_speed = command, now
    assert last == pytest.approx(side, abs=1e-3)
