"""`from actd import Engine`: the three lines of who wants nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actd
from actd import Engine
from actd.engine.load import load_engine
from actd.errors import EngineError
from tests.engines import policy_spec, write_waving_engine

FRONT, STATE = "observation.images.front", "observation.state"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = policy_spec(3, {"front": (24, 32)}, chunk_size=8)
    return write_waving_engine(tmp_path_factory.mktemp("engines") / "cup" / "ort-fp32", spec)


def observation(**other: Any) -> dict[str, Any]:
    image = np.full((24, 32, 3), 90, np.uint8)
    return {FRONT: image, STATE: [0.1, 0.2, -0.3], "task": "wave", **other}


def test_three_lines_give_the_engines_own_chunk(folder: Path) -> None:
    with Engine(folder) as engine:
        actions = engine(observation())
    assert (actions.shape, actions.dtype) == ((8, 3), np.float32)
    arrays = observation()
    expected = load_engine(folder).infer(
        {FRONT: arrays[FRONT], STATE: np.array(arrays[STATE], np.float32)}
    )
    assert np.array_equal(actions, expected)
    assert [feature.key for feature in engine.spec.inputs] == [STATE, FRONT]
    assert engine.name == "ort-fp32"


def test_a_folder_with_one_engine_is_that_engine(folder: Path) -> None:
    with Engine(folder.parent) as engine:
        assert engine(observation()).shape == (8, 3)


def test_a_folder_with_several_engines_names_them(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(folder)
    with pytest.raises(EngineError, match="engines inside: a, b; give one of them"):
        Engine(tmp_path)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({STATE: [0.1, 0.2]}, r"observation: observation\.state"),
        ({STATE: "home"}, r"observation\.state: not an array of numbers"),
        ({STATE: [[0.1], [0.2, 0.3]]}, r"observation\.state: not an array of numbers"),
        ({FRONT: np.zeros((24, 32, 3), np.float32)}, r"observation\.images\.front"),
        ({FRONT: np.zeros((3, 24, 32), np.uint8)}, r"observation\.images\.front"),
    ],
)
def test_what_it_was_not_trained_with_is_refused(
    folder: Path, other: dict[str, Any], told: str
) -> None:
    with Engine(folder) as engine, pytest.raises(EngineError, match=told):
        engine(observation(**other))


def test_a_missing_input_is_named(folder: Path) -> None:
    with Engine(folder) as engine, pytest.raises(EngineError, match=r"observation\.state: missing"):
        engine({FRONT: np.zeros((24, 32, 3), np.uint8)})


def test_it_is_used_up_once_closed(folder: Path) -> None:
    engine = Engine(folder)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="used after it was closed"):
        engine(observation())


def test_actd_itself_imports_nothing_before_it_is_used() -> None:
    code = "import sys, actd, actd.client; sys.exit(bool({'numpy', 'pydantic'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Motor'"):
        _ = actd.Motor  # type: ignore[attr-defined]
