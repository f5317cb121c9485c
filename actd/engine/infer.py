"""One-off inference from file to file, for scripts and for inspecting an engine.

Reads an .npz of observations, writes an .npz with `actions`. Raises EngineError.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from actd.engine.load import load_engine
from actd.engine.observations import (
    batch,
    read_arrays,
    split,
    unlike_training,
    unlike_units,
)
from actd.errors import EngineInputError, unwritable


def infer_file(
    engine_dir: str | Path,
    obs_npz: str | Path,
    out_npz: str | Path,
    warn: Callable[[str], None] = lambda line: None,
) -> tuple[int, ...]:
    """Run the engine on the observations of a file; return the shape of `actions`.

    `warn` is told once of each number that is where the training data never were, and of numbers
    in another unit.

    Keys of `obs_npz` are feature names. `actions` is float32 (chunk, joints), or
    (N, chunk, joints) if every array has a leading axis of N.
    """
    engine = load_engine(engine_dir)
    try:
        source = Path(obs_npz)
        arrays = read_arrays(source, engine.spec)
        observations = split(arrays, engine.spec, source)
        if not observations:
            raise EngineInputError(f"{source}: no observation; give at least one")
        unlike: dict[str, str] = {}
        for observation in observations:
            unlike = unlike_training(observation, engine.spec, engine.spec.names) | unlike
        reach = {
            f.key: np.max([np.abs(one[f.key]) for one in observations], axis=0)
            for f in engine.spec.vectors
        }
        units = unlike_units(reach, engine.spec, engine.spec.names)
        for words in (*unlike.values(), *units):
            warn(words)
        actions = np.stack([engine.infer(observation) for observation in observations])
        first = engine.spec.inputs[0]
        if batch(arrays[first.key], first, str(source)) is None:
            actions = actions[0]
    finally:
        engine.close()
    try:
        with Path(out_npz).open("wb") as stream:
            np.savez(stream, actions=actions)
    except OSError as error:
        raise unwritable(out_npz, error) from None
    return actions.shape
