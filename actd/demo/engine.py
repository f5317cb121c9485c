"""The demo's policy: exported on the first run, cached from then on.

Owns `~/.cache/actd/demo/` (or below XDG_CACHE_HOME). The policy is the default ACT with seeded
random weights, centred on the simulator's start pose: it moves the arms and solves nothing. A
build that fails or is interrupted leaves nothing behind. Raises ActdError with the command to run
when a package is missing.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import actd
from actd.engine.cache import cache_root
from actd.engine.manifest import Manifest
from actd.errors import ActdError
from actd.resources import resource_dir
from actd.sim.aloha import CAMERAS, HEIGHT, WIDTH
from actd.sim.collect import ARM_SPREAD_RAD

ENGINE = "ort-int8"
FRAMES = 1  # the start pose
ACTION_STD = 0.12
"""Motion of this size (rad, share of a gripper) starts close enough to the arms to arm."""
POLICY: Mapping[str, Any] = {"seed": 7, "chunk_size": 100, "n_action_steps": 100}

# Package that the first run needs -> the extra that installs it.
NEEDED = {
    "mujoco": "demo",
    "gym_aloha": "demo",
    "onnxruntime": "demo",
    "torch": "export",
    "onnxscript": "export",
    "safetensors": "export",
}
# Modules that the export imports anyway.
SLOW_TO_LOAD = ("torch.onnx", "onnxscript", "onnxruntime.quantization")


def find_or_build(report: Callable[[str], None]) -> Path:
    """The demo's engine folder, exported now if it is not in the cache.

    `report` gets one line per step of a build. Raises ActdError.
    """
    folder = cache_folder()
    engine = folder / ENGINE
    if (engine / "manifest.json").is_file():
        return engine
    _check_installed()
    report(f"first run: exporting the demo's policy to {engine} (once, under a minute)")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as scratch:
            return build(folder, Path(scratch), report, **POLICY)
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def build(
    folder: Path,
    scratch: Path,
    report: Callable[[str], None],
    *,
    engine: str = ENGINE,
    **policy: Any,
) -> Path:
    """Export an untrained policy for the simulator into `folder`; return the engine folder.

    `policy` goes to `write_untrained`; the checkpoint stays in `scratch`.
    """
    from actd.export.export import export_checkpoint
    from actd.policy.untrained import write_untrained

    frames = scratch / "frames.npz"
    report("reading the start pose from the simulator")
    _collect(frames)
    with np.load(frames, allow_pickle=False) as observations:
        states: NDArray[np.float32] = observations["observation.state"]
    start = states[0].tolist()
    write_untrained(
        scratch / "checkpoint",
        cameras=dict.fromkeys(CAMERAS, (HEIGHT, WIDTH)),
        action_dim=len(start),
        state_dim=len(start),
        action_mean=start,
        action_std=[ACTION_STD] * len(start),
        state_mean=start,
        state_std=[ARM_SPREAD_RAD] * len(start),
        **policy,
    )
    # Recorded frames would start a search for an exact engine, pointless for random weights.
    export_checkpoint(scratch / "checkpoint", folder, [engine], "synthetic", report)
    return folder / engine


def cache_folder() -> Path:
    """The cache folder of the demo engine: its name changes with anything it is built from."""
    recipe = (resource_dir("engines") / f"{ENGINE}.yaml").read_text(encoding="utf-8")
    runtime = metadata.version("onnxruntime") if _installed("onnxruntime") else ""
    schema = Manifest.model_json_schema()
    built_from = json.dumps(
        [actd.__version__, POLICY, ACTION_STD, FRAMES, HEIGHT, WIDTH, recipe, runtime, schema]
    )
    name = hashlib.sha256(built_from.encode()).hexdigest()[:12]
    return cache_root() / "demo" / name


def _collect(file: Path) -> None:
    # In a process of its own, which keeps the drawing library out of this one.
    command = [sys.executable, "-m", "actd.sim.collect", str(file), "--frames", str(FRAMES)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as renderer:
        try:
            for name in SLOW_TO_LOAD:  # takes seconds, meanwhile on another core
                importlib.import_module(name)
            _, errors = renderer.communicate()
        except BaseException:
            renderer.kill()
            raise
    if renderer.returncode != 0:
        lines = errors.strip().splitlines()
        raise ActdError(lines[-1] if lines else f"the simulator ended with {renderer.returncode}")


def _check_installed() -> None:
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        extras = ",".join(sorted({NEEDED[name] for name in missing}))
        raise ActdError(
            f"the first demo exports its policy and needs {', '.join(missing)}; "
            f"pip install 'actd[{extras}]'"
        )


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
