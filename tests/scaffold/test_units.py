"""What positions are counted in: told by how far they reach and in which steps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actd.config import JointConfig
from actd.scaffold.presets import Scale, preset
from actd.scaffold.units import Units, guess_units

COUNT = 360 / 4095


def joint(**given: object) -> JointConfig:
    return JointConfig(position=(-1, 1), velocity=1, acceleration=1, **given)  # type: ignore[arg-type]


ARM = [joint(), joint(), joint(kind="gripper")]


def guess(
    low: float,
    high: float,
    resolution: Sequence[float] = (),
    *,
    robot: str | None = None,
    exact: bool = True,
) -> Units:
    """For two joints of that range and a gripper of 0 to 100."""
    ranges = (low, low / 2, 0.0), (high, high / 2, 100.0)
    known = preset(robot) if robot else None
    return guess_units(ARM, ranges, known, exact=exact, resolution=resolution)


@pytest.mark.parametrize(
    ("low", "high", "resolution", "scale"),
    [
        (-1.6, 1.9, (), "rad"),
        (-6.28, 6.28, (), "rad"),
        (-110.0, 98.0, (), "degrees"),
        (-100.0, 97.0, (), "percent"),
        (-98.0, 100.0, (COUNT, COUNT), "percent"),  # where it is cut off says more
        (-98.0, 97.0, (COUNT, COUNT, 0.5), "degrees"),
        (-98.0, 97.0, (360 / 4096, 360 / 4096), "degrees"),
        (-98.0, 97.0, (0.0765, 0.0912), "percent"),
    ],
)
def test_what_the_data_tell(
    low: float, high: float, resolution: Sequence[float], scale: Scale
) -> None:
    found = guess(low, high, resolution)
    assert (found.scale, found.certain) == (scale, True)
    assert found.evidence.startswith("positions reach ")


@pytest.mark.parametrize(
    ("low", "high", "resolution", "scale"),
    [
        (-98.0, 97.0, (), "degrees"),
        (-98.0, 97.0, (COUNT,), "degrees"),  # one joint may be chance
        (-98.0, 97.0, (COUNT, 0.05), "degrees"),  # they contradict each other
        (0.0, 4095.0, (), None),
        (-150000.0, 150000.0, (), None),
    ],
)
def test_what_they_do_not_is_left_to_check(
    low: float, high: float, resolution: Sequence[float], scale: Scale | None
) -> None:
    found = guess(low, high, resolution)
    assert (found.scale, found.certain) == (scale, False)


def test_a_range_from_mean_and_std_tells_radians_only() -> None:
    found = guess(-1.6, 1.9, exact=False)
    assert found == ("rad", "positions reach about 1.9, within two turns", True)
    for high in (100.0, 150.0):
        found = guess(-80, high, exact=False, robot="koch")
        assert (found.scale, found.certain) == ("percent", False)
    assert guess_units(ARM, None, preset("koch"), exact=False).scale == "percent"
    assert guess_units(ARM, None, None, exact=False).scale == "rad"


def test_the_robot_says_it_in_its_words_and_another_scale_than_its_own_is_no_certainty() -> None:
    so101, aloha = preset("so101"), preset("aloha")
    assert guess(-110, 90, robot="so101").text(so101) == "degrees, gripper 0 to 100"
    degrees = guess(-110, 90, robot="aloha")
    assert not degrees.certain
    assert degrees.text(aloha) == "degrees"
    assert "while this robot counts rad, grippers 0 (closed) to 1 (open)" in degrees.evidence
    assert guess(0, 4095).text(so101) == "unknown"


def test_grippers_and_speeds_do_not_count() -> None:
    turning = JointConfig(kind="velocity", position=(-90, 90), velocity=1)
    others = [joint(), joint(kind="gripper"), turning]
    assert guess_units(others, ((-1, 0, -90), (1, 100, 90)), None, exact=True).scale == "rad"
