"""Limits from demonstrations: they keep to them, are a valid section, and hardly ever act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.config import JointConfig
from actd.config.checks import misfits
from actd.config.robot import RobotConfig
from actd.control.limits import Kind
from actd.demonstrations import Motion
from actd.policy.spec import PolicySpec
from actd.scaffold.joints import (
    ERROR_MARGIN,
    Playback,
    demonstrated_joints,
    guessed_joints,
    still_joints,
)
from tests.engines import policy_spec

AT_50 = Playback(50.0, "linear")
POSITION: list[Kind] = ["position"]


def moving(**changes: float) -> Motion:
    """One joint of +-1 that reaches speed 2 and acceleration 10."""
    values = {
        "velocity": 2.0,
        "acceleration": 10.0,
        "jerk": 100.0,
        "start": 0.0,
        "start_error": 0.0,
        "follow_error": 0.0,
        "resolution": 0.0,
    }
    vectors = {name: (value,) for name, value in (values | changes).items()}
    return Motion("lab/cup", 3, 900, 25.0, **vectors)


def spec_of(low: float, high: float) -> PolicySpec:
    statistics = {"action": {"min": (low,), "max": (high,)}}
    return replace(policy_spec(1, {"top": (48, 64)}, chunk_size=20), statistics=statistics)


def limits(
    motion: Motion, low: float = -1.0, high: float = 1.0, kinds: Sequence[Kind] = POSITION,
    playback: Playback = AT_50,
) -> tuple[JointConfig, RobotConfig]:  # fmt: skip
    (joint,) = demonstrated_joints(spec_of(low, high), kinds, motion, playback)
    section = RobotConfig(name="arm", joints={"a": joint})
    assert list(misfits({"robot": section})) == []
    return joint, section


def test_the_margins_are_those_that_are_told() -> None:
    joint, _ = limits(moving())
    assert joint.position == (-1.1, 1.1)
    assert joint.velocity == pytest.approx(2.4)
    # straight lines at twice the rows' rate change speed within half a row
    assert joint.acceleration == pytest.approx(24)
    smooth, _ = limits(moving(), playback=Playback(500.0, "smooth"))
    assert smooth.acceleration == pytest.approx(12)
    slow, _ = limits(moving(), playback=Playback(25.0, "linear"))
    assert slow.acceleration == pytest.approx(12)
    assert joint.start_distance is joint.follow_distance is None


def test_an_arm_that_was_far_from_its_commands_may_be_as_far() -> None:
    joint, section = limits(moving(follow_error=0.3))
    assert joint.follow_distance == pytest.approx(0.3 * ERROR_MARGIN)
    assert joint.start_distance is None
    joint, section = limits(moving(start_error=0.15, follow_error=0.1))
    assert joint.start_distance == pytest.approx(0.225)
    assert joint.follow_distance is None  # start_distance is more
    assert section.follow_distance_of(joint) == pytest.approx(0.225)
    # a range that cannot tell the units apart at that distance is widened
    wide, _ = limits(moving(start_error=0.3))
    assert wide.position is not None
    assert wide.position[1] - wide.position[0] > 8 * 0.45
    # and no further than a blocked arm, and an arm elsewhere, are told
    lost, section = limits(moving(start_error=5, follow_error=5))
    assert lost.position == (-2.2, 2.2)
    assert section.start_distance_of(lost) < 4.4 / 8
    assert section.follow_distance_of(lost) == pytest.approx(1.1)
    gripper, _ = limits(moving(follow_error=0.9, start_error=0.9), kinds=["gripper"])
    assert gripper.start_distance is gripper.follow_distance is None


def test_a_speed_rests_at_0_and_can_stop() -> None:
    joint, _ = limits(moving(velocity=0.001), 0.1, 0.3, ["velocity"])
    assert joint.position is not None
    assert joint.position[0] <= 0
    assert joint.position[1] >= 0.3
    assert joint.acceleration is None


def test_a_speed_that_was_still_is_allowed_next_to_none_whatever_the_others_are() -> None:
    """The widest range is degrees, and a share of it as a speed would be metres per second."""
    statistics = {"action": {"min": (-90.0, 0.0), "max": (90.0, 0.0)}}
    spec = replace(policy_spec(2, {"top": (48, 64)}, chunk_size=20), statistics=statistics)
    two = {name: (value[0], 0.0) for name, value in asdict(moving(start_error=0.1)).items()
           if isinstance(value, tuple)}  # fmt: skip
    motion = Motion("lab/cup", 3, 900, 25.0, **two)
    for joints in (
        demonstrated_joints(spec, ["position", "velocity"], motion, AT_50),
        guessed_joints(spec, ["position", "velocity"]),
    ):
        low, high = joints[1].position or (0.0, 0.0)
        assert -0.001 < low < 0 < high < 0.001
        assert joints[1].velocity < 0.01
    noisy = replace(motion, start_error=(0.1, 0.02))
    _, speed = demonstrated_joints(spec, ["position", "velocity"], noisy, AT_50)
    low, high = speed.position or (0.0, 0.0)
    assert 0.03 <= high - low < 0.04  # its start_distance: as far as it was measured


@pytest.mark.parametrize(
    ("kind", "low", "high", "still"),
    [
        ("velocity", -0.05, 0.05, False),  # metres per second beside degrees
        ("velocity", 0.0, 0.0, True),
        ("gripper", 0.0, 0.08, False),  # metres
        ("gripper", 60.0, 60.01, True),
        ("position", 2.0, 2.05, True),  # the encoder's last digit
        ("position", 2.0, 3.0, False),
    ],
)
def test_a_joint_is_still_beside_those_of_its_kind(
    kind: Kind, low: float, high: float, still: bool
) -> None:
    statistics = {"action": {"min": (-90.0, low), "max": (90.0, high)}}
    spec = replace(policy_spec(2, {"top": (48, 64)}, chunk_size=20), statistics=statistics)
    assert still_joints(spec, ["position", kind]) == (frozenset({1}) if still else frozenset())


@settings(max_examples=200, deadline=None)
@given(
    low=st.floats(-1e4, 1e4),
    span=st.one_of(st.just(0.0), st.floats(1e-6, 1e4)),
    velocity=st.one_of(st.just(0.0), st.floats(1e-9, 1e6)),
    acceleration=st.one_of(st.just(0.0), st.floats(1e-9, 1e8)),
    error=st.one_of(st.just(0.0), st.floats(0, 1e4)),
    kind=st.sampled_from(["position", "gripper", "velocity"]),
    rate_hz=st.sampled_from([30.0, 50.0, 1000.0]),
)
def test_whatever_the_data_say_the_section_is_right(  # noqa: PLR0917
    low: float, span: float, velocity: float, acceleration: float, error: float, kind: Kind,
    rate_hz: float,
) -> None:  # fmt: skip
    motion = moving(
        velocity=velocity, acceleration=acceleration, start_error=error, follow_error=error
    )
    joint, _ = limits(motion, low, low + span, [kind], Playback(rate_hz, "linear"))
    assert joint.position is not None
    grain = 2e-3 * (joint.position[1] - joint.position[0])
    assert joint.position[0] <= low + grain
    assert low + span - grain <= joint.position[1]


def test_limits_at_any_rate_do_not_act_on_the_motion_that_they_are_of() -> None:
    """The percentile is of rows, the limit of ticks between which lines are straight."""
    from actd.replay.limits import at_control_rate, check
    from tests.control import rig

    random = np.random.default_rng(0)
    rows = np.cumsum(np.cumsum(random.normal(size=(3000, 1)), axis=0) * 0.999, axis=0) * 1e-3
    rows = np.sin(rows).astype(np.float32)
    rates = [np.abs(np.diff(rows[:, 0].astype(float), order)) * 25.0**order for order in (1, 2)]
    fastest, hardest = (float(np.percentile(rate[rate > 0], 99.9)) for rate in rates)
    for rate_hz in (25.0, 50.0, 200.0):
        motion = moving(velocity=fastest, acceleration=hardest)
        joint, _ = limits(
            motion, float(rows.min()), float(rows.max()), playback=Playback(rate_hz, "linear")
        )
        assert joint.position is not None
        bounds = rig.settings(
            joints=1, hz=rate_hz, interpolation=("linear",), lower=joint.position[0],
            upper=joint.position[1], velocity=joint.velocity, acceleration=joint.acceleration,
        )  # fmt: skip
        report = check("rows", [at_control_rate(rows, 25.0, bounds)], bounds)
        assert report.fired.max() < 0.002
