"""Settings survive JSON whole, and what is not such settings is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from actd.arrays import Vector
from actd.cameras.config import CameraConfig, OpenCVConfig
from actd.codec import decode, encode
from actd.control.state import Event


@dataclass(frozen=True, slots=True)
class Inner:
    vector: Vector
    pair: tuple[int, str]
    many: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    count: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Base):
    inner: Inner
    inners: tuple[Inner, ...]
    by_name: Mapping[str, tuple[int, int]]
    mode: Literal["hold", "linear"]
    event: Event | None
    ratio: float
    flag: bool
    text: str | None
    path: Path
    camera: CameraConfig | None
    whatever: Any


FLOATS = st.floats(allow_nan=False)
INNERS = st.builds(
    Inner,
    vector=arrays(np.float64, st.integers(0, 4), elements=FLOATS),
    pair=st.tuples(st.integers(), st.text()),
    many=st.lists(FLOATS).map(tuple),
)
OUTERS = st.builds(
    Outer,
    count=st.integers(),
    inner=INNERS,
    inners=st.lists(INNERS, max_size=2).map(tuple),
    by_name=st.dictionaries(st.text(), st.tuples(st.integers(), st.integers())),
    mode=st.sampled_from(["hold", "linear"]),
    event=st.none() | st.sampled_from(Event),
    ratio=FLOATS,
    flag=st.booleans(),
    text=st.none() | st.text(),
    path=st.just(Path("/flights/run")),
    camera=st.none() | st.just(OpenCVConfig(index_or_path="a.mp4", resize=(640, 480))),
    whatever=st.none() | st.lists(st.integers()),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
EXAMPLE = Outer(
    inner=Inner(np.array([1.0, np.inf]), (1, "a"), (-0.0,)),
    inners=(),
    by_name={"top": (480, 640)},
    mode="hold",
    event=Event.ARM,
    ratio=0.1,
    flag=True,
    text=None,
    path=Path("run"),
    camera=None,
    whatever=[1],
)


def through_json(value: Any) -> Any:
    """As another process reads it; numbers that are not JSON are an error."""
    return json.loads(json.dumps(encode(value), allow_nan=False))


@given(OUTERS)
def test_every_value_and_type_survives(settings: Outer) -> None:
    again = decode(Outer, through_json(settings))
    assert repr(asdict(again)) == repr(asdict(settings))
    assert again.inner.vector.dtype == np.float64
    assert again.inner.vector.tobytes() == settings.inner.vector.tobytes()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_numbers_that_are_not_finite_survive(value: float) -> None:
    vector = np.array([value, 0.0])
    again = decode(Inner, through_json(Inner(vector, (0, ""), (value,))))
    np.testing.assert_array_equal(again.vector, vector)
    np.testing.assert_array_equal(again.many, [value])


def test_whole_numbers_become_the_floats_they_are_meant_as() -> None:
    again = decode(Outer, through_json(replace(EXAMPLE, ratio=2)))
    assert isinstance(again.ratio, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": "3"}, "Outer.count: found '3', expected <class 'int'>"),
        ({"count": True}, "Outer.count: found True"),
        ({"mode": "spline"}, "Outer.mode: found 'spline', expected typing.Literal['hold'"),
        ({"event": "dance"}, "Outer.event: 'dance' is not a valid Event"),
        ({"ratio": "fast"}, "Outer.ratio: could not convert string to float: 'fast'"),
        ({"ratio": 10**400}, "Outer.ratio: int too large"),
        ({"by_name": {"top": [1]}}, "Outer.by_name.top: found [1]"),
        ({"inner": {"vector": [], "pair": [1, 2], "many": []}}, "Outer.inner.pair[1]: found 2"),
        (
            {"inner": {"vectors": [], "pair": [], "many": []}},
            "Outer.inner: vector missing, ",
        ),
        ({"inner": "nothing"}, "Outer.inner: found 'nothing'"),
        ({"camera": {"index_or_path": 0, "colour": 1}}, "Outer.camera: 1 validation error"),
        ({"later": 1}, "Outer: later unknown"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="Outer") as caught:
        decode(Outer, through_json(EXAMPLE) | change)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(sorted(encode(EXAMPLE))), JSON)
def test_damage_is_a_value_error_or_a_value(key: str, damage: Any) -> None:
    try:
        again = decode(Outer, {**through_json(EXAMPLE), key: damage})
    except ValueError as error:
        assert str(error).startswith(f"Outer.{key}")  # noqa: PT017
    else:
        assert decode(Outer, through_json(again)) is not None
