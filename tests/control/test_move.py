"""A move from anywhere to anywhere: within every limit, straight, together, and to the goal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actd.arrays import Vector
from actd.control.limiter import JointLimiter
from actd.control.limits import Limits
from actd.control.move import Move


class Way(NamedTuple):
    begin: Vector
    goal: Vector
    limits: Limits
    period_ns: int

    @property
    def dt_s(self) -> float:
        return self.period_ns / 1e9

    def move(self) -> Move:
        return Move(self.begin, self.goal, self.limits, self.period_ns)


@st.composite
def ways(draw: st.DrawFn) -> Way:
    """Of arms of one to seven joints, in radians, degrees or shares."""
    joints, scale = draw(st.integers(1, 7)), draw(st.sampled_from([1.0, 57.3, 1e-3, 1e4]))

    def values(low: float, high: float) -> Vector:
        some = st.lists(st.floats(low, high), min_size=joints, max_size=joints)
        return scale * np.array(draw(some)).round(6)

    begin, goal = values(-3, 3), values(-3, 3)
    stays = np.array(draw(st.lists(st.booleans(), min_size=joints, max_size=joints)))
    limits = Limits(
        np.full(joints, -3 * scale), np.full(joints, 3 * scale), values(0.4, 10), values(0.5, 60)
    )
    period_ns = round(1e9 / draw(st.sampled_from([5.0, 30.0, 50.0, 250.0])))
    return Way(begin, np.where(stays, begin, goal), limits, period_ns)


def played(way: Way, ticks: int | None = None) -> tuple[JointLimiter, Vector]:
    """The limiter after so many ticks (None: until there and at rest), and its commands, (n + 1,
    joints), from the beginning on.
    """
    limiter = JointLimiter(way.limits, way.period_ns)
    limiter.reset(way.begin)
    move = way.move()
    commands = [way.begin]
    while (len(commands) <= ticks) if ticks is not None else not (move.over_ns and limiter.at_rest):
        command, flags = limiter.step(move.step(), move.low, move.high)
        assert not flags
        commands.append(command)
    return limiter, np.array(commands)


def judge(way: Way, commands: Vector) -> None:
    """From rest, within the range of the way and every limit, and on the straight line."""
    size = 1e-9 * (1.0 + np.abs(way.begin) + np.abs(way.goal))
    assert (commands >= np.minimum(way.begin, way.goal) - size).all()
    assert (commands <= np.maximum(way.begin, way.goal) + size).all()
    rounding = size / way.dt_s
    speed = np.diff(commands, axis=0, prepend=commands[:1]) / way.dt_s
    assert (np.abs(speed) <= way.limits.velocity * (1 + 1e-9) + rounding).all()
    change = np.abs(np.diff(speed, axis=0))
    assert (change <= way.limits.acceleration * way.dt_s * (1 + 1e-6) + 2 * rounding).all()
    along = way.goal - way.begin
    if not along.any():
        assert (commands == way.begin).all()
        return
    shares = (commands - way.begin) @ along / (along @ along)
    off = commands - (way.begin + shares[:, None] * along)
    assert (np.abs(off) <= 10 * size).all(), "off the line"


@hypothesis_settings(max_examples=60, deadline=None)
@given(way=ways())
def test_a_move_keeps_to_its_way_and_ends_at_the_goal(way: Way) -> None:
    limiter, commands = played(way)
    judge(way, commands)
    np.testing.assert_allclose(limiter.command, way.goal, rtol=1e-12, atol=1e-12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(way=ways(), share=st.floats(0, 1))
def test_a_move_may_be_stopped_at_any_tick(way: Way, share: float) -> None:
    ticks = round(share * way.move().progress.left_ns / way.period_ns)
    limiter, commands = played(way, ticks)
    braking = [limiter.command]
    longest_s = float((way.limits.velocity / way.limits.acceleration).max())
    for _ in range(round(longest_s / way.dt_s) + 2):
        braking.append(limiter.brake())
    assert limiter.at_rest
    judge(way, np.concatenate((commands, braking[1:])))


@hypothesis_settings(max_examples=40, deadline=None)
@given(way=ways())
def test_a_move_takes_no_longer_than_its_slowest_joint_and_never_jerks(way: Way) -> None:
    along = np.abs(way.goal - way.begin)
    move = way.move()
    duration_s = move.progress.left_ns / 1e9
    needed_s = np.maximum(
        1.875 * along / way.limits.velocity,
        np.sqrt(10 / np.sqrt(3) * along / way.limits.acceleration),
    ).max()
    assert needed_s <= duration_s * (1 + 1e-9)
    assert duration_s <= needed_s + way.dt_s * (1 + 1e-6)
    _, commands = played(way)
    still = np.repeat(commands[:1], 3, axis=0)
    jerk = np.abs(np.diff(np.concatenate((still, commands)), 3, axis=0)) / way.dt_s**3
    rounding = 1e-8 * (1.0 + np.abs(way.begin) + np.abs(way.goal)) / way.dt_s**3
    assert (jerk <= 60 * along / duration_s**3 * (1 + 1e-6) + rounding).all()


def test_progress_counts_down_to_the_goal() -> None:
    limits = Limits(np.array([-3.0]), np.array([3.0]), np.array([1.0]), np.array([100.0]))
    move = Move(np.zeros(1), np.ones(1), limits, 25_000_000)
    assert move.progress == (0.0, 1_875_000_000)
    assert move.over_ns is None
    shares = []
    while move.over_ns is None:
        target = move.step()
        shares.append(move.progress.share)
        assert target[0] == pytest.approx(shares[-1])
    assert len(shares) == 75
    assert shares == sorted(shares)
    assert move.progress == (1.0, 0)
    move.step()
    assert move.over_ns == 25_000_000


def test_an_arm_outside_its_limits_comes_in() -> None:
    """What the limits do not allow is left as fast as they allow, and never returned to."""
    limits = Limits(np.array([-1.0] * 2), np.array([1.0] * 2), np.ones(2), np.full(2, 8.0))
    begin, goal = np.array([1.2, 0.0]), np.array([0.5, 0.5])
    limiter = JointLimiter(limits, 20_000_000)
    limiter.reset(begin)
    move = Move(begin, goal, limits, 20_000_000)
    places = []
    while not (move.over_ns and limiter.at_rest):
        places.append(limiter.step(move.step(), move.low, move.high)[0])
    np.testing.assert_array_equal(limiter.command, goal)
    assert (np.diff(np.array(places)[:, 0]) <= 1e-12).all()
