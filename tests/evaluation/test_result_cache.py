"""Finished episodes on disk: whole, never mixed with others, never anyone else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.errors import RecordingError, UsageError
from actd.evaluation.result_cache import EpisodeRun, ResultCache, cached_stride

SETTINGS: dict[str, Any] = {
    "dataset": "waving",
    "stride": 2,
    "engines": {"a/b": "f" * 64, "torch": "0" * 64},
}
LABELS = ("a/b", "torch")


def run(number: int) -> EpisodeRun:
    chance = np.random.default_rng(number)
    recorded = chance.normal(size=(5, 2)).astype(np.float32)
    chunks = {label: chance.normal(size=(3, 4, 2)).astype(np.float32) for label in LABELS}
    return EpisodeRun(number, "as it was", np.array([0, 2, 4]), recorded, chunks)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, SETTINGS)
    assert cached_stride(tmp_path) is None
    assert not cache.has(7, "as it was")
    cache.write(run(7))
    cache.check()
    assert cache.has(7, "as it was")
    assert cached_stride(tmp_path) == 2
    found = cache.read(7)
    assert np.array_equal(found.actions, run(7).actions)
    for label in LABELS:
        assert np.array_equal(found.chunks[label], run(7).chunks[label])
    assert [file.name for file in cache.folder.iterdir()] == ["7.npz"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stride": 3}, ("stride 2, now 3",)),
        ({"dataset": "other"}, ("dataset waving, now other",)),
        ({"engines": {"a/b": "e" * 64, "torch": "0" * 64}}, ("a/b ffffffff", "now a/b eeeeeeee")),
        ({"engines": {"a/b": "f" * 64}}, ("torch 00000000, now a/b ffffffff",)),
    ],
)
def test_other_settings_are_named_and_not_mixed(
    change: dict[str, object], words: tuple[str, ...], tmp_path: Path
) -> None:
    ResultCache(tmp_path, SETTINGS).write(run(0))
    with pytest.raises(UsageError, match="--fresh") as caught:
        ResultCache(tmp_path, SETTINGS | change).check()
    assert all(word in str(caught.value) for word in (str(tmp_path), "0.npz", *words))
    assert "\n" not in str(caught.value)


def test_fresh_takes_ours_and_refuses_the_rest(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, SETTINGS)
    cache.write(run(0))
    ResultCache(tmp_path, SETTINGS | {"stride": 9}).write(run(1))
    (cache.folder / "notes.txt").write_text("mine")
    cache.clear()
    assert [file.name for file in cache.folder.iterdir()] == ["notes.txt"]
    np.savez(cache.folder / "3.npz", weights=np.zeros(3))
    with pytest.raises(RecordingError, match=r"3\.npz: not an episode of an evaluation"):
        cache.clear()
    assert (cache.folder / "3.npz").is_file()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, SETTINGS)
    cache.write(run(4))
    file = cache.folder / "4.npz"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(RecordingError, match=r"4\.npz.*delete the file"):
        cache.check()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another --out"):
        ResultCache(tmp_path / "file", SETTINGS).write(run(0))


def test_another_order_of_the_engines_changes_no_figures(tmp_path: Path) -> None:
    ResultCache(tmp_path, SETTINGS).write(run(0))
    turned = SETTINGS | {"engines": dict(reversed(SETTINGS["engines"].items()))}
    cache = ResultCache(tmp_path, turned)
    cache.check()
    found = cache.read(0)
    assert tuple(found.chunks) == LABELS[::-1]
    for label in LABELS:
        assert np.array_equal(found.chunks[label], run(0).chunks[label])


def test_another_recording_is_not_mixed(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path, SETTINGS)
    cache.write(run(0))
    with pytest.raises(UsageError, match=r"0\.npz: episode 0 of the dataset has changed"):
        cache.has(0, "changed")
