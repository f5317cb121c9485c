"""The body does what an arm does: it lags, is stopped, is carried, and jumps if told to."""

from __future__ import annotations

import numpy as np
import pytest

from actd.arrays import Vector
from tests.faults.body import Body, Servo

DT_S = 0.005


def body(servo: Servo | None = None) -> Body:
    return Body(np.zeros(2), servo)


def run(subject: Body, seconds: float) -> float:
    return max(float(subject.step(DT_S).max()) for _ in range(round(seconds / DT_S)))


def to(value: float) -> Vector:
    return np.array([value, 0.0])


def test_it_comes_to_where_it_is_told_without_running_past() -> None:
    subject, farthest = body(), 0.0
    subject.follow(to(1.0))
    for _ in range(200):
        subject.step(DT_S)
        farthest = max(farthest, subject.position[0])
    assert subject.position[0] == pytest.approx(1.0, abs=1e-3)
    assert farthest <= 1.0 + 1e-9
    assert subject.position[1] == 0.0


def test_it_lags_behind_a_moving_target_and_keeps_its_speed() -> None:
    subject, fastest = body(), 0.0
    for step in range(1, 51):
        subject.follow(to(0.02 * step))  # 1 rad/s at 50 Hz
        fastest = max(fastest, float(subject.step(0.02).max()))
    behind = 1.0 - subject.position[0]
    assert 0.02 < behind < 0.1
    assert fastest < 1.3 * 1.0


def test_a_target_that_jumps_makes_it_jump_at_its_own_speed() -> None:
    subject = body()
    subject.follow(to(0.8))
    assert run(subject, 0.5) == pytest.approx(Servo().velocity, rel=0.01)


def test_nothing_moves_before_the_dead_time() -> None:
    subject = body(Servo(dead_s=0.1))
    subject.follow(to(1.0))
    subject.step(0.095)
    assert subject.position[0] == 0.0
    subject.step(0.05)
    assert subject.position[0] > 0.0


def test_a_joint_does_not_pass_a_wall_and_the_others_go_on() -> None:
    subject = body()
    subject.upper = np.array([0.3, 1.1])
    subject.follow(np.array([1.0, 1.0]))
    run(subject, 1.0)
    assert subject.position == pytest.approx([0.3, 1.0], abs=1e-3)
    assert subject.velocity[0] == 0.0


def test_a_wall_put_up_behind_it_does_not_move_it() -> None:
    subject = body()
    subject.follow(to(0.5))
    run(subject, 1.0)
    subject.upper = np.array([0.2, 1.1])
    run(subject, 0.1)
    assert subject.position[0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("falls", [True, False])
def test_without_torque_it_falls_or_stays_and_obeys_nobody(falls: bool) -> None:
    subject = body()
    subject.falls = falls
    subject.torque(False)
    assert not subject.driven
    subject.follow(to(1.0))
    run(subject, 0.5)
    assert (subject.position < -0.1).all() if falls else not subject.position.any()


def test_torque_that_returns_holds_it_where_it_is() -> None:
    subject = body()
    subject.torque(False)
    subject.follow(to(1.0))
    subject.step(DT_S)
    subject.torque(True)
    assert subject.driven
    assert run(subject, 0.5) == 0.0


def test_a_hand_carries_it_against_its_servos_and_lets_go() -> None:
    subject = body()
    subject.follow(to(-1.0))
    subject.carry(to(0.6))
    run(subject, 0.5)
    assert not subject.driven
    assert subject.position == pytest.approx([0.6, 0.0])
    subject.carry(None)
    assert run(subject, 0.5) == 0.0
    assert subject.position == pytest.approx([0.6, 0.0])


def test_time_may_pass_in_any_portions() -> None:
    one, other = body(), body()
    for subject in (one, other):
        subject.follow(to(0.5))
    one.step(0.2)
    for _ in range(20):
        other.step(0.01)
    assert one.position == pytest.approx(other.position, abs=2e-3)
