"""A small checkpoint that every test may copy and spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actd.policy.untrained import write_untrained


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(
        tmp_path_factory.mktemp("untrained"),
        cameras={"top": (32, 48)},
        action_dim=3,
        state_dim=3,
        chunk_size=8,
        dim_model=16,
        n_heads=2,
        dim_feedforward=16,
        n_encoder_layers=1,
    )


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "checkpoint"))
