"""Whether two images are told to show one scene, and by how much what is in them moved."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.cameras.match import Likeness, Movement, choose, compare, view_of
from tests.cameras.images import photo, scene

TABLE = scene(1)
TRAINED = view_of(photo(TABLE))


@pytest.mark.parametrize(
    ("right", "down", "degrees", "scale"),
    [(0, 0, 0, 1), (12, -3, 1.4, 1), (-40, 25, -8, 1.1), (0, 0, 180, 1), (5, 5, 30, 0.8)],
)
def test_a_movement_is_measured(right: float, down: float, degrees: float, scale: float) -> None:
    movement = compare(TRAINED, view_of(photo(TABLE, right, down, degrees, scale))).movement
    assert movement is not None
    assert movement.right_px == pytest.approx(right, abs=1)
    assert movement.down_px == pytest.approx(down, abs=1)
    assert abs((movement.degrees - degrees + 180) % 360 - 180) < 0.3
    assert movement.scale == pytest.approx(scale, abs=0.01)
    assert 15 <= movement.agreeing <= movement.shared


def test_it_is_measured_in_pixels_of_the_training() -> None:
    """Whatever the size of the other image."""
    large = np.kron(photo(TABLE, 20), np.ones((2, 2, 1), np.uint8))
    movement = compare(TRAINED, view_of(large, (640, 480))).movement
    assert movement is not None
    assert movement.right_px == pytest.approx(20, abs=1)


def test_what_moves_in_the_scene_is_not_the_mount() -> None:
    """An arm in another pose, over a third of the image."""
    image = photo(TABLE, 6)
    image[:, 200:420] = photo(scene(9))[:, 200:420]
    movement = compare(TRAINED, view_of(image)).movement
    assert movement is not None
    assert movement.right_px == pytest.approx(6, abs=1)
    assert movement.agreeing < movement.shared or movement.shared < 100


def test_other_scenes_never_agree() -> None:
    views = [view_of(photo(scene(seed))) for seed in range(2, 8)]
    assert all(compare(one, other).movement is None for one, other in permutations(views, 2))


@pytest.mark.parametrize("value", [0, 128])
def test_a_plain_image_tells_nothing(value: int) -> None:
    plain = view_of(np.full((480, 640, 3), value, np.uint8))
    for likeness in (compare(TRAINED, plain), compare(plain, TRAINED), compare(plain, plain)):
        assert likeness.movement is None
        assert abs(likeness.correlation) < 0.5


def moved(agreeing: int) -> Likeness:
    return Likeness(Movement(1, 2, 3, 1, agreeing, agreeing), 0.0)


def looks(correlation: float) -> Likeness:
    return Likeness(None, correlation)


def test_features_go_before_looks_and_no_source_is_taken_twice() -> None:
    choices = choose(
        {
            ("top", "a"): moved(40),
            ("top", "b"): looks(0.99),
            ("wrist", "a"): moved(18),
            ("wrist", "b"): looks(0.9),
            ("wrist", "c"): looks(0.2),
            ("top", "c"): looks(0.2),
        }
    )
    assert {name: (choice.source, choice.by) for name, choice in choices.items()} == {
        "top": ("a", "features")
    }


def test_the_last_camera_left_is_said_to_be_that() -> None:
    pairs = {("top", "a"): moved(40), ("wrist", "b"): looks(0.1)}
    pairs |= {("top", "b"): looks(0.3), ("wrist", "a"): looks(0.2)}
    choices = choose(pairs)
    assert [(choice.source, choice.by) for choice in choices.values()] == [
        ("a", "features"),
        ("b", "rest"),
    ]


def test_what_looks_alike_must_do_so_clearly() -> None:
    alike = {("top", "a"): looks(0.9), ("top", "b"): looks(0.8)}
    assert choose(alike) == {}
    assert choose({("top", "a"): looks(0.9), ("top", "b"): looks(0.7)})["top"].by == "looks"
    assert choose({("top", "a"): looks(0.4), ("top", "b"): looks(0.1)}) == {}


def test_two_sources_of_one_scene_are_not_told_apart() -> None:
    assert choose({("top", "a"): moved(40), ("top", "b"): moved(30)}) == {}


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz")),
        st.integers(15, 60).map(moved) | st.floats(-1, 1).map(looks),
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_sources_decides_nothing(
    partial: dict[tuple[str, str], Likeness], chance: object
) -> None:
    full = {(c, s): partial.get((c, s), looks(0)) for c in "ABC" for s in "xyz"}
    choices = choose(full)
    assert len({choice.source for choice in choices.values()}) == len(choices)
    backwards = choose(dict(reversed(full.items())))
    assert {c: choice.by for c, choice in choices.items() if choice.by == "features"} == {
        c: choice.by for c, choice in backwards.items() if choice.by == "features"
    }
