"""Engines that several tests share, each exported once."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.export.export import export_checkpoint
from actd.policy.untrained import write_untrained


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained(
        tmp_path_factory.mktemp("checkpoint"),
        cameras={"top": (64, 96)},
        action_dim=3,
        state_dim=3,
        chunk_size=8,
        dim_model=64,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
        action_std=[0.1, 0.2, 0.3],
    )


@pytest.fixture(scope="session")
def engines(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ort-fp32 and ort-int8, calibrated on synthetic observations."""
    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(checkpoint, out, ["ort-fp32", "ort-int8"], "synthetic")
    return out
