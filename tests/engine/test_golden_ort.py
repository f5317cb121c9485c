"""LeRobot's recorded answers through export, ONNX Runtime, and the file contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actd.engine.infer import infer_file
from actd.export.export import export_checkpoint
from tests import golden

_QUICK = "two_cameras"
"""The others take 7 to 11 seconds each."""
_CASES = [
    pytest.param(case, marks=() if case == _QUICK else pytest.mark.slow) for case in golden.CASES
]


@pytest.mark.parametrize("case", _CASES)
def test_exported_engine_gives_lerobots_actions(case: str, tmp_path: Path) -> None:
    checkpoint = golden.write_checkpoint(case, tmp_path / "checkpoint")
    (built,) = export_checkpoint(checkpoint, tmp_path / "engines", ["ort-fp32"])
    observations = [golden.observation(case, i) for i in range(golden.OBSERVATIONS)]
    stacked = {key: np.stack([o[key] for o in observations]) for key in observations[0]}
    np.savez(tmp_path / "all.npz", **stacked)
    np.savez(tmp_path / "one.npz", **observations[1])
    infer_file(built.folder, tmp_path / "all.npz", tmp_path / "out.npz")
    infer_file(built.folder, tmp_path / "one.npz", tmp_path / "out1.npz")
    with np.load(tmp_path / "out.npz") as every, np.load(tmp_path / "out1.npz") as one:
        assert every["actions"].dtype == np.float32
        np.testing.assert_allclose(every["actions"], golden.expected(case), rtol=0, atol=1e-4)
        np.testing.assert_allclose(one["actions"], golden.expected(case)[1], rtol=0, atol=1e-4)
