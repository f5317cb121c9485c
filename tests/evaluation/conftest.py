"""A small recording and the engines that are evaluated on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from actd.datasets import Dataset, DatasetWriter, Form, open_dataset

JOINTS = tuple(f"j{index}" for index in range(14))
CAMERAS = {f"observation.images.{name}": (96, 128) for name in ("cam_high", "cam_low")}
VECTORS = {"observation.state": JOINTS, "action": JOINTS}


def write_dataset(folder: Path, form: Form, lengths: tuple[int, ...] = (8, 30)) -> Dataset:
    """Random states and actions, grey images; the last joint never moves."""
    chance = np.random.default_rng(0)
    with DatasetWriter(folder, form) as writer:
        for length in lengths:
            episode = writer.begin("wave")
            for row in range(length):
                vectors = {
                    key: chance.normal(size=len(names)) for key, names in form.vectors.items()
                }
                vectors["action"][-1] = 0.5
                grey = {
                    key: np.full((*size, 3), 7 * row % 256, np.uint8)
                    for key, size in form.cameras.items()
                }
                episode.add(vectors, grey)
            episode.save()
    return open_dataset(folder)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("set") / "waving", Form(50, VECTORS, CAMERAS))


@pytest.fixture
def altered(exported_engine: Path, tmp_path: Path) -> Callable[[str, str, str], Path]:
    """A copy of the engine, under a name, with a text of its manifest replaced."""

    def copy(name: str, old: str, new: str) -> Path:
        folder = tmp_path / "altered" / name
        shutil.copytree(exported_engine, folder)
        manifest = folder / "manifest.json"
        text = manifest.read_text()
        assert old in text
        manifest.write_text(text.replace(old, new))
        return folder

    return copy
