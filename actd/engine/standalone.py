"""An engine for a program of one's own, without a daemon: observation in, actions out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.load import load_engine
from actd.engine.manifest import MANIFEST
from actd.errors import EngineError
from actd.policy.spec import PolicySpec


class Engine:
    """A trained policy, loaded and checked: `actions = engine(observation)`.

        from actd import Engine

        engine = Engine("engines/cup")
        actions = engine({
            "observation.images.front": frame,      # uint8 RGB, (height, width, 3)
            "observation.state": joint_positions,   # (joints,), as the robot measured them
        })

    folder: an engine's, as `actd export` writes it, or one that holds exactly one.
    threads: CPU threads to compute on (None: the runtime chooses).

    Everything is in the units of the training data: normalisation is inside. It needs no torch,
    except for the engines called torch. Not thread-safe. Raises EngineError where the engine is
    damaged, not for this computer, or given what it was not trained with.
    """

    def __init__(self, folder: str | Path, *, threads: int | None = None) -> None:
        self._engine = load_engine(_engine_in(Path(folder)), threads=threads)

    @property
    def name(self) -> str:
        """The recipe's name, such as `ort-int8`."""
        return self._engine.name

    @property
    def spec(self) -> PolicySpec:
        """What it takes and gives: `inputs` and their shapes, `chunk_size`, `names` if known."""
        return self._engine.spec

    def __call__(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """The actions for one observation: (chunk_size, joints), of which row *k* is due *k*
        periods of the training data after the observation was made.

        observation: an array for each of `spec.inputs` by its name. Images are uint8 RGB (height,
        width, 3) of the trained size; vectors are numbers in the order of the training data. Other
        keys are ignored. Takes milliseconds to a second, see `actd bench`.
        """
        arrays: dict[str, NDArray[Any]] = {}
        for feature in self.spec.inputs:
            if feature.key in observation:
                value = observation[feature.key]
                dtype = None if feature.kind == "VISUAL" else np.float32
                try:
                    arrays[feature.key] = np.asarray(value, dtype)
                except (TypeError, ValueError) as error:
                    raise EngineError(
                        f"observation: {feature.key}: not an array of numbers ({error}); need "
                        f"{feature.boundary_shape}"
                    ) from None
        return self._engine.infer(arrays)

    def close(self) -> None:
        """Free what the runtime holds. Safe to call twice."""
        self._engine.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _engine_in(folder: Path) -> Path:
    """The folder itself, or the only engine in it."""
    if not (folder / MANIFEST).exists():
        inside = list(folder.glob(f"*/{MANIFEST}"))
        if len(inside) == 1:
            return inside[0].parent
    return folder
