"""Observations from real rings, at times the test chooses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from actd.control.staleness import MaxAge
from actd.runtime.channels import Channels, Shapes, open_channels
from actd.runtime.observation import MissingInput, Observer, Rules, TimedObservation
from tests.engines import policy_spec

MS = 1_000_000
START = 10**12
SIZE = (4, 6)
RULES = Rules(
    max_age=MaxAge(camera_ns=500 * MS, frozen_ns=1000 * MS),
    max_skew_ns=50 * MS,
    max_delay_ns=100 * MS,
    refuse=False,
    interval_ns=10 * MS,
)


class Robot:
    """Two cameras and a state that deliver when told to; times are ms after START."""

    def __init__(self, rules: Rules = RULES, cameras: tuple[str, ...] = ("high", "low")) -> None:
        shapes = Shapes(dict.fromkeys(cameras, SIZE), 5, 2, 2, 0)
        self.channels: Channels = open_channels(shapes)
        self.observer = Observer(
            policy_spec(2, dict.fromkeys(cameras, SIZE), 5), self.channels, rules
        )

    def frame(self, camera: str, t_ms: int, *, changed_ms: int | None = None) -> None:
        pixels = np.full((*SIZE, 3), t_ms % 256, np.uint8)
        changed_ns = START + MS * (t_ms if changed_ms is None else changed_ms)
        self.channels.frames[camera].write((START + t_ms * MS, changed_ns, 0, 1, 0, pixels))

    def state(self, t_ms: int) -> None:
        self.channels.states.write((START + t_ms * MS, [t_ms, 0], []))

    def take(self, now_ms: int) -> TimedObservation | MissingInput | None:
        return self.observer.take(START + now_ms * MS)


@pytest.fixture
def robot() -> Robot:
    return Robot()


def observed(taken: TimedObservation | MissingInput | None) -> tuple[int, int, int, int]:
    """Moment, and what of each part was seen: all in ms."""
    assert isinstance(taken, TimedObservation)
    high, low = (taken.values[f"observation.images.{c}"][0, 0, 0] for c in ("high", "low"))
    state = taken.values["observation.state"][0]
    return (taken.t_ns - START) // MS, int(high), int(low), int(state)


def test_new_frames_are_taken_as_they_come(robot: Robot) -> None:
    robot.state(98)
    robot.frame("low", 83)
    robot.frame("high", 100)
    taken = robot.take(101)
    assert observed(taken) == (100, 100, 83, 98)
    assert isinstance(taken, TimedObservation)
    assert (taken.skew_ns, taken.diagnostic) == (17 * MS, "")
    robot.observer.let_pass()
    assert robot.take(110) is None
    robot.frame("low", 116)
    robot.state(118)
    assert observed(robot.take(117)) == (116, 100, 116, 118)


def test_what_came_during_inference_is_not_waited_on_but_the_next_is(robot: Robot) -> None:
    for t_ms in (0, 33):
        robot.state(t_ms)
        robot.frame("high", t_ms)
        robot.frame("low", t_ms)
        if t_ms == 0:
            assert observed(robot.take(1))[0] == 0
    robot.observer.let_pass()
    assert robot.take(60) is None
    robot.frame("high", 66)
    assert observed(robot.take(67)) == (66, 66, 33, 33)


def test_the_interval_between_observations_is_kept(robot: Robot) -> None:
    robot.state(0)
    robot.frame("high", 0)
    robot.frame("low", 0)
    assert robot.take(1) is not None
    robot.frame("high", 5)
    assert robot.take(6) is None
    assert observed(robot.take(11))[0] == 5


def test_a_late_camera_is_paired_with_what_the_other_saw_then(robot: Robot) -> None:
    for t_ms in range(0, 199, 33):
        robot.frame("high", t_ms)
        robot.state(t_ms)
    robot.frame("low", 33)
    robot.frame("low", 66)  # 132 ms late
    assert observed(robot.take(200)) == (99, 99, 66, 99)


def drift_apart(robot: Robot) -> Iterator[int]:
    """`high` every 33 ms, `low` 300 ms behind it: more than is kept of `high`."""
    for t_ms in itertools.count(400, 33):
        robot.frame("high", t_ms)
        robot.frame("low", t_ms - 300)
        robot.state(t_ms)
        yield t_ms


def test_delay_waits_for_parts_that_fit_then_takes_the_newest_and_says_so(robot: Robot) -> None:
    moments = {}
    for now in itertools.islice(drift_apart(robot), 7):
        taken = robot.take(now)
        if taken is not None:
            moments[now] = taken
    # From the first look at 400 it waited 100 ms, and from then on no more.
    assert list(moments) == [532, 565, 598]
    first = moments[532]
    assert isinstance(first, TimedObservation)
    assert (first.t_ns, first.skew_ns) == (START + 532 * MS, 300 * MS)
    assert first.diagnostic == (
        "camera low is 300 ms behind camera high (observation.max_skew_ms is 50)"
    )
    for t_ms in (610, 620):
        robot.frame("high", t_ms)
        robot.frame("low", t_ms)
    assert observed(robot.take(621))[0] == 620
    robot.frame("high", 700)
    assert robot.take(701) is None  # patient again


def test_refuse_never_infers_from_parts_that_do_not_fit() -> None:
    robot = Robot(replace(RULES, refuse=True))
    answers = {now: robot.take(now) for now in itertools.islice(drift_apart(robot), 12)}
    assert all(answer is None for now, answer in answers.items() if now < 500)
    for now, answer in answers.items():
        if now >= 500:
            assert isinstance(answer, MissingInput)
            assert answer.stream == "camera low"
            assert "300 ms behind camera high" in answer.diagnostic


def test_frames_too_old_to_use_are_not_paired_either(robot: Robot) -> None:
    for t_ms in (85, 590):
        robot.frame("high", t_ms)
        robot.state(t_ms)
    for t_ms in (90, 130):
        robot.frame("low", t_ms)
    assert robot.take(592) is None  # 85 and 90 would fit
    robot.frame("low", 600)
    assert observed(robot.take(601)) == (600, 590 % 256, 600 % 256, 590)


@pytest.mark.parametrize(
    ("now", "stream", "words"),
    [
        (601, "camera low", "camera low is 501 ms old (limit 500 ms)"),
        (400, "robot state", "robot state is 290 ms old (limit 200 ms)"),
    ],
)
def test_a_stale_stream_is_named(robot: Robot, now: int, stream: str, words: str) -> None:
    robot.frame("low", 100)
    robot.frame("high", 110)
    robot.state(110)
    if stream == "camera low":
        robot.frame("high", 590)
    assert robot.take(now) == MissingInput(stream, words)


def test_streams_that_never_came_are_named(robot: Robot) -> None:
    assert robot.take(0) == MissingInput(
        "camera high", "camera high has not delivered anything yet"
    )


def test_a_camera_that_shows_one_image_is_stale_until_it_changes() -> None:
    robot = Robot()
    for t_ms in range(0, 1100, 20):
        robot.state(t_ms)
        robot.frame("high", t_ms)
        robot.frame("low", t_ms, changed_ms=0)
    taken = robot.take(1081)
    assert isinstance(taken, MissingInput)
    assert taken.stream == "camera low"
    assert "camera low has shown the same image for 1080 ms (limit 1000 ms)" in taken.diagnostic
    robot.frame("low", 1100)
    assert observed(robot.take(1101))[0] == 1100


def test_frozen_cameras_are_allowed_where_the_limit_is_zero() -> None:
    robot = Robot(replace(RULES, max_age=MaxAge(frozen_ns=0)))
    robot.state(5000)
    robot.frame("high", 5000)
    robot.frame("low", 5000, changed_ms=0)
    assert observed(robot.take(5001))[0] == 5000


def test_a_policy_without_cameras_observes_every_new_state() -> None:
    robot = Robot(cameras=())
    robot.state(0)
    taken = robot.take(1)
    assert isinstance(taken, TimedObservation)
    assert taken.t_ns == START
    robot.observer.let_pass()
    assert robot.take(20) is None
    robot.state(21)
    assert isinstance(robot.take(22), TimedObservation)


def test_images_as_old_as_those_of_the_training_are_paired_with_the_state_of_then() -> None:
    robot = Robot(replace(RULES, image_age_ns=60 * MS))
    for t_ms in range(0, 200, 10):
        robot.state(t_ms)
    robot.frame("high", 100)
    robot.frame("low", 100)
    taken = robot.take(195)
    assert isinstance(taken, TimedObservation)
    # A row of the training lay beside an image that was 60 ms old then.
    assert taken.values["observation.state"][0] == 160
    assert taken.t_ns == START + 160 * MS
    assert taken.skew_ns == 0


def test_the_first_row_is_never_for_the_future() -> None:
    robot = Robot(replace(RULES, image_age_ns=60 * MS))
    robot.state(120)
    robot.frame("high", 100)
    robot.frame("low", 100)
    taken = robot.take(130)
    assert isinstance(taken, TimedObservation)
    assert taken.t_ns == START + 130 * MS
