"""How attempts at the task are counted."""

from __future__ import annotations

import pytest

from actd.mode import Mode
from actd.sim.aloha import JOINTS
from actd.sim.homing import HOMING_S, SETTLE_S, Homing
from actd.sim.referee import DONE_S, Referee, Score, Stage

Seen = tuple[Mode | None, float, bool, bool]
"""Mode, seconds, whether the task is done, whether the arms are home."""


def after(*seen: Seen) -> Score:
    referee = Referee()
    for mode, t_s, is_done, is_home in seen:
        referee.see(mode, t_s, is_done=is_done, is_home=is_home)
    return referee.score


def test_a_task_that_stays_done_is_a_success_and_counts_once() -> None:
    assert after(
        (Mode.IDLE, 0.0, False, False),
        (Mode.ARMED, 1.0, False, False),
        (Mode.ARMED, 2.0, True, False),
        (Mode.ARMED, 2.1 + DONE_S, True, False),
        (Mode.HOLD, 4.0, True, False),
        (Mode.ARMED, 5.0, True, False),
    ) == Score(Stage.DONE, 1, 1)


def test_a_bar_that_falls_again_is_no_success() -> None:
    assert after(
        (Mode.ARMED, 1.0, True, False),
        (Mode.ARMED, 0.9 + DONE_S, False, False),
        (Mode.ARMED, 1.1 + DONE_S, True, False),
        (Mode.ARMED, 1.2 + DONE_S, True, False),
    ) == Score(Stage.WORKING, 0, 0)


def test_an_attempt_that_is_released_undone_failed() -> None:
    failed: list[Seen] = [(Mode.ARMED, 1.0, False, False), (Mode.HOLD, 9.0, False, False)]
    released: list[Seen] = [*failed, (Mode.IDLE, 9.5, False, False)]
    assert after(*failed) == Score(Stage.WORKING, 0, 0)
    assert after(*released) == Score(Stage.RETURNING, 1, 0)
    assert after(*released, (Mode.IDLE, 12.0, False, True)) == Score(Stage.HOME, 1, 0)


def test_a_fault_does_not_end_an_attempt_and_neither_does_silence() -> None:
    seen: list[Seen] = [(Mode.ARMED, 1.0, False, False), (Mode.FAULT, 2.0, False, False)]
    assert after(*seen, (None, 3.0, False, False)).stage is Stage.WORKING


def test_what_is_done_before_the_arms_are_driven_does_not_count() -> None:
    assert after((Mode.IDLE, 0.0, True, False), (Mode.IDLE, 9.0, True, False)) == Score()


def test_the_way_home_begins_where_the_arms_are_and_ends_at_rest() -> None:
    here, home = dict.fromkeys(JOINTS, 1.0), dict.fromkeys(JOINTS, 0.0)
    homing = Homing(here, home, start_s=5.0)
    assert homing.targets(5.0) == here
    assert homing.targets(5.0 + HOMING_S / 2)["left_arm_waist"] == pytest.approx(0.5)
    assert homing.targets(5.0 + HOMING_S) == homing.targets(99.0) == home
    assert not homing.is_over(5.0 + HOMING_S)
    assert homing.is_over(5.0 + HOMING_S + SETTLE_S)
