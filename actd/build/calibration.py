"""Where the frames come from that an engine is calibrated and judged on.

Reads recorded observations, or draws synthetic ones where there are none. Calibration takes
frames from all over the recording; a verdict takes others where there are enough.
Raises EngineError that names the source.
"""

from __future__ import annotations

from pathlib import Path

from actd.build.frames import Frames
from actd.engine.observations import read, spread
from actd.policy.checkpoint import Checkpoint

SYNTHETIC = "synthetic"

_CALIBRATION_SEED = 1
_VERDICT_SEED = 2


def calibration_frames(source: str | Path, checkpoint: Checkpoint, count: int) -> Frames:
    """At most `count` observations to measure ranges on. `source` may be `synthetic`."""
    if str(source) == SYNTHETIC:
        return _synthetic(checkpoint, count, _CALIBRATION_SEED)
    observations = read(Path(source), checkpoint.spec)
    return Frames(spread(observations, count), (), str(source))


def verdict_frames(source: str | Path, checkpoint: Checkpoint, count: int) -> Frames:
    """At most `count` observations to compare an engine with torch on."""
    if str(source) == SYNTHETIC:
        return _synthetic(checkpoint, count, _VERDICT_SEED)
    observations = read(Path(source), checkpoint.spec)
    # from the end, so that few of these have calibrated the ranges too
    return Frames(spread(observations[::-1], count), (), str(source))


def _synthetic(checkpoint: Checkpoint, count: int, seed: int) -> Frames:
    from actd.policy.synthetic import synthetic

    return Frames(synthetic(checkpoint, count=count, seed=seed), (), SYNTHETIC)
