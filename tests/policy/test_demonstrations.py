"""What a dataset adds to what a checkpoint says of itself, and which dataset may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from actd.demonstrations import Demonstrations, Motion
from actd.policy.spec import PolicySpec
from tests.engines import policy_spec

ZEROS = (0.0, 0.0)
SPEC = replace(
    policy_spec(2, {"top": (48, 64)}, chunk_size=20),
    statistics={"action": {"mean": (40.0, 0.0), "std": (25.0, 0.0)}},
)


def demonstrations(
    statistics: Mapping[str, Mapping[str, Sequence[float]]], **changes: object
) -> Demonstrations:
    motion = Motion("lab/cup", 3, 90, 30.0, *(ZEROS,) * 7)
    whole = {
        key: {name: tuple(values) for name, values in found.items()}
        for key, found in statistics.items()
    }
    found = Demonstrations("so101_follower", {"action": ("pan", "lift")}, whole, motion)
    return replace(found, **changes)  # type: ignore[arg-type]


def of(mean: Sequence[float], std: Sequence[float]) -> Demonstrations:
    return demonstrations({"action": {"mean": mean, "std": std, "min": mean, "max": mean}})


def test_the_dataset_fills_in_what_the_checkpoint_leaves_out() -> None:
    found = demonstrations(
        {
            "action": {"mean": (41, 0), "std": (25, 0), "min": (-9, 0), "max": (90, 0)},
            "observation.state": {"mean": (1, 2), "min": (0, 0)},
            "observation.environment_state": {"mean": (1,)},  # no input of the policy
        }
    )
    spec = SPEC.completed(found)
    assert spec.statistics["action"] == {
        "mean": (40, 0),  # what it was normalised with
        "std": (25, 0),
        "min": (-9, 0),
        "max": (90, 0),
    }
    assert spec.statistics["observation.state"]["mean"] == (1, 2)
    assert set(spec.statistics) == {"action", "observation.state"}
    assert spec.names == {"action": ("pan", "lift")}
    assert spec.trained_hz == 30
    assert replace(SPEC, trained_hz=50, names={"action": ("a", "b")}).completed(found).names == {
        "action": ("a", "b")
    }


def test_images_are_known_from_the_dataset_and_do_not_tell_datasets_apart() -> None:
    top = "observation.images.top"
    found = demonstrations(
        {
            "action": {"mean": (40, 0), "std": (25, 0)},
            top: {"mean": (0.1, 0.2, 0.3), "std": (0.1, 0.1, 0.1)},
            "observation.images.wrist": {"mean": (0.1, 0.2, 0.3), "std": (0.1, 0.1, 0.1)},
        }
    )
    spec = SPEC.completed(found)
    assert spec.statistics[top]["mean"] == (0.1, 0.2, 0.3)
    assert "observation.images.wrist" not in spec.statistics
    other = {"mean": (0.9, 0.9, 0.9), "std": (0.01, 0.01, 0.01)}
    assert spec.unlike(demonstrations({**found.statistics, top: other})) == ""
    assert spec.completed(demonstrations({**found.statistics, top: other})) == spec
    with pytest.raises(ValueError, match=r"images\.top\.mean: need 3 finite numbers"):
        replace(SPEC, statistics={top: {"mean": (0.1, 0.2)}})


@pytest.mark.parametrize(
    ("mean", "std"),
    [((40, 0), (25, 0)), ((55, 0), (15, 0)), ((20, 1e-4), (60, 1e-5)), ((39.9, 0), (100, 0))],
)
def test_a_part_or_a_larger_sample_of_the_dataset_may_be_it(
    mean: Sequence[float], std: Sequence[float]
) -> None:
    assert SPEC.unlike(of(mean, std)) == ""


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((0.7, 0), (0.43, 0), "action: pan is 0.7 ± 0.43 there, and 40 ± 25 in the policy's"),
        ((200, 0), (25, 0), "pan is 200 ± 25 there"),
        ((40, 5), (25, 0), "lift is 5 ± 0 there, and 0 ± 0"),
        ((40,), (25,), "action: 1 values, the policy has 2"),
    ],
)
def test_other_units_places_or_joints_are_another_dataset(
    mean: Sequence[float], std: Sequence[float], words: str
) -> None:
    assert words in SPEC.unlike(of(mean, std))


def test_without_mean_and_std_nothing_tells_them_apart() -> None:
    unknown: PolicySpec = replace(SPEC, statistics={"action": {"min": (0, 0), "max": (1, 1)}})
    assert unknown.unlike(of((400, 0), (1, 0))) == ""
    assert "0 values" in SPEC.unlike(demonstrations({}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fps": 0.0}, "fps"),
        ({"velocity": (1.0, float("nan"))}, "velocity: need 2 finite numbers"),
        ({"start": (1.0,)}, "start: need 2"),
        ({"jerk": (-1.0, 0.0)}, "jerk: -1.0 is less than 0"),
    ],
)
def test_motion_that_cannot_be(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(of((0, 0), (1, 1)).motion, **changes)  # type: ignore[arg-type]
