"""A small checkpoint that every test may copy and spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.policy.tiny import write_tiny


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("untrained"))


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "checkpoint"))
