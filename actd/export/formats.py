"""The formats of a model file: a table from a recipe's `graph` to the function that writes it.

Each function writes into a folder and returns, for 8-bit formats, how it quantised.
Raises EngineError when an 8-bit format cannot meet the recipe's tolerance.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from actd.engine.manifest import Calibration, Manifest
from actd.engine.recipe import Graph
from actd.export.graph.fp16 import to_fp16
from actd.export.job import Job
from actd.export.mixed_precision import write_int8
from actd.export.torch_export import write_pt2

MODELS: dict[str, str] = {"pt2": "model.pt2"}
"""Graph -> name of the model file, if it is not `model.onnx`."""

Maker = Callable[[Manifest, Job, Path], Calibration | None]


def make(manifest: Manifest, job: Job, folder: Path) -> Calibration | None:
    """Write the model file of `manifest` into `folder`."""
    return _FORMS[manifest.recipe.graph](manifest, job, folder)


def _float32(manifest: Manifest, job: Job, folder: Path) -> None:
    shutil.copyfile(job.float_model, folder / manifest.model)


def _float16(manifest: Manifest, job: Job, folder: Path) -> None:
    to_fp16(job.float_model, folder / manifest.model)


def _pt2(manifest: Manifest, job: Job, folder: Path) -> None:
    write_pt2(job.checkpoint, folder / manifest.model)


_FORMS: dict[Graph, Maker] = {
    "fp32": _float32,
    "fp16": _float16,
    "pt2": _pt2,
    "u8s8": write_int8,
    "s8s8": write_int8,
}
