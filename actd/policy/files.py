"""Reads the files of a checkpoint: JSON objects and safetensors, without surprises.

Owns the one shape of every checkpoint error. Names and shapes of tensors come from
a file's header alone, so that looking at a checkpoint needs neither torch nor time.
A missing, truncated or foreign file is a CheckpointError of one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd import files
from actd.errors import CheckpointError

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TRAIN_CONFIG = "train_config.json"


def refusal(file: Path, key: str, problem: str, remedy: str) -> CheckpointError:
    """The one shape of every checkpoint error: file, key, what was found, what to do."""
    return CheckpointError(f"{file}: {key}: {problem}; {remedy}")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file, or a CheckpointError that says what is there instead."""
    try:
        data = files.read_json(file)
    except FileNotFoundError:
        raise refusal(file, "file", "missing", "copy the whole checkpoint folder") from None
    except (OSError, ValueError) as error:
        if file.is_file() and not file.stat().st_size:
            remedy = "copy it again; a checkpoint that LeRobot migrated, from before it"
            raise refusal(file, "file", "empty", remedy) from None
        raise refusal(file, "file", f"not readable JSON ({error})", "copy it again") from None
    if not isinstance(data, dict):
        raise refusal(file, "file", f"a JSON {type(data).__name__}", "need an object")
    return data


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A safetensors file whose header has been read."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]

    def flat(self, key: str) -> NDArray[np.float32]:
        """One small tensor as a flat float32 array."""
        from safetensors import safe_open

        with safe_open(self.path, framework="numpy") as stored:
            if stored.get_slice(key).get_dtype() != "BF16":
                return np.asarray(stored.get_tensor(key), np.float32).reshape(-1)
        # numpy has no bfloat16
        with safe_open(self.path, framework="pt") as stored:
            return np.asarray(stored.get_tensor(key).float().numpy()).reshape(-1)

    def torch(self) -> dict[str, Any]:
        """Every tensor, on the CPU."""
        from safetensors.torch import load_file

        return dict(load_file(self.path))


def open_tensors(file: Path, remedy: str) -> TensorFile:
    """Read the header of a safetensors file. Raises CheckpointError unless it is whole."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise refusal(file, "file", "missing", remedy)
    try:
        with safe_open(file, framework="numpy") as stored:
            shapes = {key: tuple(stored.get_slice(key).get_shape()) for key in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        problem = f"not a complete safetensors file ({error})"
        raise refusal(file, "file", problem, remedy) from None
    return TensorFile(file, shapes)
