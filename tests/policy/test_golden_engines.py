"""Recorded answers through exported engines, from checkpoints of every generation.

What LeRobot 0.4 wrote is exported in tests/engine. An older layout loads into the
same tensors, so one case of each is enough every day; the rest is slow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.engine.load import load_engine
from actd.export.export import export_checkpoint
from actd.policy.overrides import Overrides
from tests import golden, layouts

EVERY_DAY = {("lerobot-2024", "odd_size_min_max")}


def cases() -> list[Any]:
    return [
        pytest.param(layout, case, marks=() if (layout, case) in EVERY_DAY else (pytest.mark.slow,))
        for layout in layouts.LAYOUTS
        for case in golden.CASES
        if layout != "lerobot-0.4"
    ]


def agrees(
    checkpoint: Path, out: Path, case: str, observations: list[Any], overrides: Overrides
) -> None:
    lines: list[str] = []
    (built,) = export_checkpoint(
        checkpoint, out, ["ort-fp32"], report=lines.append, overrides=overrides
    )
    assert any(line.startswith("recognised ") for line in lines)
    engine = load_engine(built.folder)
    found = np.stack([engine.infer(observation) for observation in observations])
    engine.close()
    np.testing.assert_allclose(found, golden.expected(case), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "case"), cases())
def test_older_layouts_agree(layout: str, case: str, tmp_path: Path) -> None:
    checkpoint = layouts.LAYOUTS[layout](case, tmp_path / "checkpoint")
    observations = [golden.observation(case, i) for i in range(golden.OBSERVATIONS)]
    agrees(checkpoint, tmp_path / "engines", case, observations, Overrides())


@pytest.mark.slow
def test_the_original_agrees(tmp_path: Path) -> None:
    checkpoint = layouts.write_original(tmp_path / "checkpoint")
    observations = [layouts.original_observation(i) for i in range(golden.OBSERVATIONS)]
    agrees(checkpoint, tmp_path / "engines", layouts.ORIGINAL, observations, layouts.ORIGINAL_HINTS)
