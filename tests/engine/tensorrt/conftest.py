"""Where TensorRT's packages are, and engine folders for TensorRT made without a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actd.export.export import export_checkpoint

PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder that scripts/make-tensorrt-packages filled."""
    folder = os.environ.get("ACTD_TENSORRT_PACKAGES")
    if not folder:
        pytest.fail("set ACTD_TENSORRT_PACKAGES, see scripts/make-tensorrt-packages")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def trt_engines(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trt-fp32, trt-fp16 and trt-int8."""
    out = tmp_path_factory.mktemp("trt-engines")
    export_checkpoint(checkpoint, out, [f"trt-{name}" for name in PRECISIONS], "synthetic")
    return out
