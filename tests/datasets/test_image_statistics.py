"""How bright a dataset's images are, from its own statistics, whatever version wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.datasets import open_dataset
from actd.datasets.image_statistics import image_statistics
from actd.datasets.motion import measure
from tests.datasets.making import TOP, WRIST, image, write


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "set"
    write(folder, [12, 5])
    return folder


def test_they_are_the_images(dataset: Path) -> None:
    found = measure(open_dataset(dataset), "lab/wave").statistics
    frames = [image(96, 128, row) / 255 for count in (12, 5) for row in range(count)]
    assert found[TOP]["mean"] == pytest.approx((np.mean(frames),) * 3, abs=0.01)
    assert found[TOP]["std"] == pytest.approx((np.std(frames),) * 3, abs=0.01)
    assert set(found) == {"action", "observation.state", TOP, WRIST}


def moments(mean: Any, std: Any = ((0.2,),) * 3, count: int = 10) -> dict[str, Any]:
    return {"mean": mean, "std": std, "count": [count]}


def test_those_of_episodes_are_put_together(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    lines = [
        {"episode_index": k, "stats": {TOP: moments([[[mean]]] * 3, [[[0.1]]] * 3, count)}}
        for k, (mean, count) in enumerate([(0.2, 30), (0.6, 10)])
    ]
    text = "\n".join(map(json.dumps, lines))
    (tmp_path / "meta" / "episodes_stats.jsonl").write_text(text)
    found = image_statistics(tmp_path, [TOP, WRIST])
    assert set(found) == {TOP}
    assert found[TOP]["mean"] == pytest.approx((0.3,) * 3)
    assert found[TOP]["std"] == pytest.approx((np.sqrt(0.01 + 0.03),) * 3)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        json.dumps({TOP: 3}),
        json.dumps({TOP: {}}),
        json.dumps({TOP: moments([120.0, 110.0, 100.0], [50.0] * 3)}),  # of 255
        json.dumps({TOP: moments([0.5, 0.5], [0.1, 0.1])}),
        json.dumps({TOP: moments(["a", "b", "c"])}),
        json.dumps({TOP: moments([0.5] * 3, [0.0] * 3)}),
        json.dumps({TOP: moments([float("nan")] * 3)}),
        json.dumps({TOP: {**moments([0.5] * 3), "count": [1e400]}}),
    ],
)
@pytest.mark.parametrize("name", ["stats.json", "episodes_stats.jsonl"])
def test_what_is_damaged_is_not_known(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / name).write_text(content)
    assert image_statistics(tmp_path, [TOP]) == {}


def test_without_any_nothing_is_known(tmp_path: Path) -> None:
    assert image_statistics(tmp_path, [TOP]) == {}
