"""What loads the checkpoint of an engine again."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.engine.manifest import SourceCheckpoint

REVISION = "owner/cup@0123abc"


def source(path: str, revision: str | None = None) -> SourceCheckpoint:
    return SourceCheckpoint(path=path, revision=revision, weights_sha256="0" * 64)


def test_a_path_of_another_computer_is_no_name_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run/last` in a manifest was asked of the hub, where a stranger may own it."""
    monkeypatch.chdir(tmp_path)
    assert source("run/last").reference == str(tmp_path / "run/last")


def test_what_is_here_goes_before_what_is_on_the_hub(tmp_path: Path) -> None:
    assert source(str(tmp_path), REVISION).reference == str(tmp_path)
    assert source(str(tmp_path / "gone"), REVISION).reference == REVISION
