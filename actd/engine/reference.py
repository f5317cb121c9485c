"""Torch's chunks for a few reference observations, stored in the engine's folder.

An engine that is completed on the robot, such as a TensorRT plan, is compared with them there,
without torch. Reads and writes `reference.npz`; raises EngineError.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.acceptance import tolerance_excess
from actd.engine.base import Engine, Observation
from actd.engine.manifest import Manifest
from actd.engine.observations import read_npz, split
from actd.engine.verify import Parity, compare
from actd.errors import EngineError

REFERENCE = "reference.npz"
ACTIONS = "actions"


def write_reference(
    folder: Path, observations: Sequence[Observation], actions: NDArray[np.float32]
) -> None:
    """Store `observations` and torch's `actions` (N, chunk, joints) for them."""
    arrays: dict[str, Any] = {
        key: np.stack([o[key] for o in observations]) for key in observations[0]
    }
    arrays[ACTIONS] = actions
    np.savez_compressed(folder / REFERENCE, **arrays)


def parity_here(engine: Engine, folder: Path, manifest: Manifest) -> Parity:
    """Errors of a loaded engine on the folder's reference observations, on this computer."""
    file = folder / REFERENCE
    arrays = read_npz(file, [*(f.key for f in engine.spec.inputs), ACTIONS])
    expected = arrays.pop(ACTIONS)
    actual = np.stack([engine.infer(o) for o in split(arrays, engine.spec, file)])
    return compare(actual, expected, manifest.action_std)


def check_reference(engine: Engine, folder: Path, manifest: Manifest) -> Parity:
    """As `parity_here`; raises EngineError when beyond what the manifest allows there."""
    parity = parity_here(engine, folder, manifest)
    if excess := tolerance_excess(parity, manifest.reference_tolerance):
        raise EngineError(
            f"{folder}: refused, too far from torch on this computer: {excess}; "
            f"rebuild with: {manifest.rebuild}, or use another engine"
        )
    return parity
