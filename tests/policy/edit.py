"""How tests spoil a checkpoint: change a JSON file or the tensors of a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file


def edit_json(file: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def edit_tensors(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, file)


def forget(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda tensors: tensors.pop(key)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda tensors: tensors.update({key: np.asarray(value, np.float32)})
