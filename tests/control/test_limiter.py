"""The limiter, by property: no command breaks a limit or leaves its walls, whatever is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from actd.arrays import Vector
from actd.control.braking import first_step
from actd.control.limiter import JointLimiter
from actd.control.limits import Flag, Limits

PERIOD_NS = 20_000_000
DT = PERIOD_NS / 1e9
RATES = (10, 50, 200, 1000)


def limits(joints: int = 1, **values: ArrayLike) -> Limits:
    """For all joints one number, or one for each."""
    ordinary: dict[str, ArrayLike] = {"lower": -3, "upper": 3, "velocity": 1.5, "acceleration": 8}
    each = {
        name: np.array(np.broadcast_to(np.asarray(value, np.float64), (joints,)))
        for name, value in (ordinary | values).items()
    }
    return Limits(**each)


def limiter(position: float = 0.0, velocity: float = 2, acceleration: float = 10) -> JointLimiter:
    bounds = limits(lower=-1, upper=1, velocity=velocity, acceleration=acceleration)
    subject = JointLimiter(bounds, PERIOD_NS)
    subject.reset(np.array([position]))
    return subject


def step(
    subject: JointLimiter, target: float, low: float | None = None, high: float | None = None
) -> tuple[float, int]:
    walls = (None if wall is None else np.array([wall]) for wall in (low, high))
    command, flags = subject.step(np.array([target]), *walls)
    return float(command[0]), flags


targets = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=120)


@settings(max_examples=150, deadline=None)
@given(
    targets=targets,
    start=st.floats(-1, 1),
    velocity=st.floats(0.05, 50),
    acceleration=st.floats(0.1, 500),
    rate_hz=st.sampled_from(RATES),
)
def test_no_command_breaks_a_limit(
    targets: list[float], start: float, velocity: float, acceleration: float, rate_hz: int
) -> None:
    dt = 1 / rate_hz
    bounds = limits(lower=-1, upper=1, velocity=velocity, acceleration=acceleration)
    subject = JointLimiter(bounds, 10**9 // rate_hz)
    subject.reset(np.array([start]))
    last, last_speed = start, 0.0
    for target in targets:
        command, _ = step(subject, target)
        speed = (command - last) / dt
        assert -1 <= command <= 1
        assert abs(speed) <= velocity * (1 + 1e-9) + 1e-13 / dt
        assert abs(speed - last_speed) <= acceleration * dt * (1 + 1e-9) + 1e-13 / dt
        last, last_speed = command, speed


walls = st.tuples(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 1))


@settings(max_examples=150, deadline=None)
@given(
    asked=st.lists(walls, min_size=1, max_size=60),
    start=st.floats(-1, 1),
    acceleration=st.floats(0.5, 100),
    rate_hz=st.sampled_from(RATES),
    brake_after=st.integers(0, 60),
)
def test_nothing_lies_beyond_all_that_was_planned(
    asked: list[tuple[float, float, float]],
    start: float,
    acceleration: float,
    rate_hz: int,
    brake_after: int,
) -> None:
    """Walls that move as they like, five periods each, and a ramp to rest at any moment."""
    bounds = limits(lower=-2, upper=2, velocity=3, acceleration=acceleration)
    subject = JointLimiter(bounds, 10**9 // rate_hz)
    subject.reset(np.array([start]))
    lowest = highest = start
    for target, width, share in asked[: brake_after + 1]:
        low, high = target - share * width, target + (1 - share) * width
        lowest, highest = min(lowest, low), max(highest, high)
        for _ in range(5):
            command, _ = step(subject, target, low, high)
            assert lowest - 1e-12 <= command <= highest + 1e-12
    for _ in range(int(np.ceil(3 / acceleration * rate_hz)) + 1):
        assert lowest - 1e-12 <= float(subject.brake()[0]) <= highest + 1e-12
    assert subject.at_rest


@settings(max_examples=100, deadline=None)
@given(targets=targets, start=st.floats(-1, 1), target=st.floats(-1, 1))
def test_a_target_that_stands_still_is_reached_without_overshoot(
    targets: list[float], start: float, target: float
) -> None:
    subject = limiter(start)
    for before in targets[:50]:
        step(subject, before)
    while not subject.at_rest:
        subject.brake()
    side = np.sign(target - subject.command[0])
    for _ in range(200):
        command, _ = step(subject, target)
        assert (target - command) * side >= -1e-9
    assert command == pytest.approx(target, abs=1e-9)


def reach(duration_s: float) -> Vector:
    """A minimum-jerk motion from 1 down to a table at 0, and rest there."""
    x = np.clip(np.arange(300) * DT / duration_s, 0, 1)
    return np.asarray(1 - (10 * x**3 - 15 * x**4 + 6 * x**5), np.float64)


@pytest.mark.parametrize(
    ("duration_s", "velocity", "acceleration"),
    [(1.0, 1.5, 8), (1.5, 1.5, 2), (1.5, 1.5, 1.5), (1.5, 1.0, 4)],
)
def test_what_is_planned_ahead_is_a_wall(
    duration_s: float, velocity: float, acceleration: float
) -> None:
    """Without it the lowest command is 0.02 to 0.45 below the table."""
    chunk = reach(duration_s)
    ahead = int(np.ceil(velocity / acceleration / DT)) + 2
    bounds = limits(lower=-9, upper=9, velocity=velocity, acceleration=acceleration)
    blind, seeing = JointLimiter(bounds, PERIOD_NS), JointLimiter(bounds, PERIOD_NS)
    lowest = [0.0, 0.0]
    for subject in (blind, seeing):
        subject.reset(chunk[:1])
    for k, target in enumerate(chunk):
        rows = chunk[k : k + ahead]
        commands = step(blind, target)[0], step(seeing, target, rows.min(), rows.max())[0]
        lowest = [min(pair) for pair in zip(lowest, commands, strict=True)]
    assert lowest[0] < -0.015
    assert lowest[1] >= -1e-9


def test_a_smooth_trajectory_within_the_limits_passes_unchanged() -> None:
    subject = limiter()
    for value in 0.45 * (1 - np.cos(1.5 * np.arange(500) * DT)):
        command, flags = step(subject, float(value))
        assert command == pytest.approx(float(value), abs=1e-12)
        assert flags == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["target", "low", "high"])
def test_what_is_not_finite_brakes_and_says_so(bad: float, place: str) -> None:
    subject = limiter()
    for _ in range(10):
        step(subject, 1.0)
    last, speed = float(subject.command[0]), float(subject.motion.velocity[0])
    asked = {"target": 1.0, "low": 0.0, "high": 1.0} | {place: bad}
    command, flags = step(subject, **asked)
    assert flags == Flag.NON_FINITE
    assert command == pytest.approx(last + (speed - 10 * DT) * DT)


def test_one_bad_joint_brakes_all() -> None:
    subject = JointLimiter(limits(2, lower=-1, upper=1), PERIOD_NS)
    command, flags = subject.step(np.array([0.5, np.nan]))
    assert flags == Flag.NON_FINITE
    assert command.tolist() == [0.0, 0.0]


speeds = st.lists(st.floats(-1, 1), min_size=3, max_size=3)


@settings(max_examples=100, deadline=None)
@given(target=speeds, steps=st.integers(1, 60), rate_hz=st.sampled_from(RATES))
def test_all_joints_brake_in_the_same_time_and_straight_on(
    target: list[float], steps: int, rate_hz: int
) -> None:
    """Far from any wall."""
    bounds = limits(3, lower=-99, upper=99, velocity=(1, 2, 4), acceleration=(2, 8, 4))
    subject = JointLimiter(bounds, 10**9 // rate_hz)
    subject.reset(np.zeros(3))
    for _ in range(steps):
        subject.step(np.array(target) * 9)
    motion = subject.motion
    needed = np.abs(motion.velocity) / bounds.acceleration
    rest = subject.rest()
    assert rest.duration_ns == pytest.approx(needed.max() * 1e9, abs=1)
    ticks = 0
    while not subject.at_rest:
        before = subject.motion.velocity
        subject.brake()
        # Straight on: the velocities keep their proportions.
        cross = np.outer(subject.motion.velocity, before)
        np.testing.assert_allclose(cross, cross.T, atol=1e-9)
        ticks += 1
        assert ticks <= np.ceil(needed.max() * rate_hz) + 1
    # Where it was announced, but for the last step, which is rarely a whole one.
    off = np.abs(subject.command - rest.position)
    assert (off <= bounds.acceleration / rate_hz**2 / 8 + 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(target=st.floats(-1, 1), steps=st.integers(0, 60), wall=st.floats(0, 0.3))
def test_the_rest_that_is_announced_lies_inside_the_walls(
    target: float, steps: int, wall: float
) -> None:
    subject = limiter()
    for _ in range(steps):
        step(subject, target, min(target, 0.0) - wall, max(target, 0.0) + wall)
    rest = subject.rest()
    assert min(target, 0.0) - wall - 1e-12 <= rest.position[0] <= max(target, 0.0) + wall + 1e-12
    if not rest.duration_ns:
        assert rest.position[0] == subject.command[0]


@given(start=st.floats(-1, 1), steps=st.integers(0, 60), target=st.floats(-1, 1))
def test_braking_comes_to_rest_within_the_limits(start: float, steps: int, target: float) -> None:
    subject = limiter(start)
    for _ in range(steps):
        step(subject, target)
    speed = abs(float(subject.motion.velocity[0]))
    for _ in range(max(1, int(np.ceil(speed / (10 * DT) - 1e-9)))):
        assert -1 <= float(subject.brake()[0]) <= 1
    assert subject.at_rest


def test_each_limit_reports_that_it_acted() -> None:
    assert step(limiter(0.99), 1.5)[1] & Flag.POSITION
    assert step(limiter(acceleration=1e6), 1.0)[1] == Flag.VELOCITY
    assert step(limiter(), 0.03)[1] == Flag.ACCELERATION
    assert step(limiter(), 0.001)[1] == 0


def test_which_joint_was_limited_is_remembered() -> None:
    subject = JointLimiter(limits(2, lower=-1, upper=1), PERIOD_NS)
    subject.step(np.array([0.001, 5.0]))
    assert subject.acted.tolist() == [[False, True]] * 3


def test_an_arm_found_outside_its_limits_only_moves_inwards() -> None:
    subject = limiter(1.5)
    last = 1.5
    for _ in range(300):
        command, _ = step(subject, 5.0)
        assert command <= last + 1e-12
        last = command
    assert last == pytest.approx(1.0, abs=1e-9)


def test_reset_copies_the_pose() -> None:
    positions = np.array([0.5])
    subject = JointLimiter(limits(), PERIOD_NS)
    subject.reset(positions)
    positions[0] = 0.9
    assert subject.command[0] == 0.5


@settings(max_examples=50, deadline=None)
@given(speed=st.floats(0.6, 4), side=st.sampled_from([-1.0, 1.0]), past=st.floats(0, 2))
def test_a_target_that_runs_into_a_wall_is_left_in_time(
    speed: float, side: float, past: float
) -> None:
    """The target moves steadily up to a position limit, or past it, and stays there."""
    subject = limiter()
    last, last_speed = 0.0, 0.0
    for tick in range(200):
        command, _ = step(subject, side * min(tick * DT * speed, 1 + past))
        assert abs(command) <= 1
        now = (command - last) / DT
        assert abs(now - last_speed) <= 10 * DT * (1 + 1e-6) + 1e-9
        last, last_speed = command, now
    assert last == pytest.approx(side, abs=1e-3)


def wheel() -> JointLimiter:
    """A speed within -2 to 3 that changes by 4 per second, beside an ordinary joint."""
    bounds = limits(2, lower=(-2, -1), upper=(3, 1), velocity=(4, 1), acceleration=(99, 5))
    subject = JointLimiter(bounds, PERIOD_NS, ("velocity", "position"))
    subject.reset(np.array([7.0, 0.5]))
    return subject


def test_a_speed_begins_at_0_wherever_its_joint_is() -> None:
    assert wheel().command.tolist() == [0.0, 0.5]


@given(targets=st.lists(st.floats(-10, 10), min_size=1, max_size=40))
def test_a_speed_keeps_its_range_and_its_change_per_second(targets: list[float]) -> None:
    subject, last = wheel(), 0.0
    for target in targets:
        command = subject.step(np.array([target, 0.5]))[0]
        assert -2 <= command[0] <= 3
        assert abs(command[0] - last) <= 4 * DT * (1 + 1e-9)
        assert command[1] == 0.5
        wanted = np.clip(target, -2, 3)
        assert command[0] == pytest.approx(np.clip(wanted, last - 4 * DT, last + 4 * DT))
        last = float(command[0])


@given(speed=st.floats(-2, 3), walls=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_speed_is_lost_when_braking_whatever_was_planned(
    speed: float, walls: tuple[float, float]
) -> None:
    """0 lies outside all that is planned; rest is there all the same."""
    subject = wheel()
    low, high = np.array([speed - walls[0], 0.5]), np.array([speed + walls[1], 0.5])
    for _ in range(60):
        subject.step(np.array([speed, 0.5]), low, high)
    assert subject.command[0] == pytest.approx(speed)
    rest = subject.rest()
    assert rest.position[0] == 0.0
    assert rest.duration_ns == pytest.approx(abs(speed) / 4 * 1e9, abs=2)
    last = abs(speed)
    for _ in range(int(np.ceil(abs(speed) / (4 * DT))) + 1):
        assert not subject.at_rest or subject.command[0] == 0.0
        now = abs(float(subject.brake()[0]))
        assert now <= last
        last = now
    assert subject.command[0] == 0.0
    subject.brake()
    assert subject.at_rest


@given(st.floats(0, 1e6))
def test_the_largest_first_step_sums_to_the_distance(total: float) -> None:
    first = float(first_step(np.array([total]))[0])
    steps = first - np.arange(np.floor(first) + 1)
    assert float(steps.sum()) == pytest.approx(total, rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0, 1e3), min_size=2, max_size=20))
def test_a_longer_way_never_allows_less_speed(totals: list[float]) -> None:
    ordered: Vector = np.sort(np.array(totals))
    assert (np.diff(first_step(ordered)) >= -1e-9).all()
