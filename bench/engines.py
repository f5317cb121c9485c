"""The default ACT (two cameras of 480x640, chunk 100) in torch, ort-fp32 and ort-int8.

The policy is untrained: its weights do not change how long it takes. Both engines and torch
compute on two threads, the robot's share of a small computer. Takes minutes, most of it export.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from actd.engine.base import Observation
from actd.policy.spec import PolicySpec
from bench.harness import Options, main, run

CAMERAS = {"top": (480, 640), "wrist": (480, 640)}
ENGINES = ("ort-fp32", "ort-int8")
THREADS = 2


def bench(options: Options) -> int:
    """Export into a scratch folder, then time all three on one observation."""
    import torch

    from actd.build.export import export_checkpoint
    from actd.engine.load import load_engine
    from actd.policy.checkpoint import load_checkpoint
    from actd.policy.network import Policy
    from actd.policy.untrained import write_untrained

    with TemporaryDirectory(prefix="actd-bench-") as scratch:
        folder = write_untrained(Path(scratch) / "checkpoint", cameras=CAMERAS)
        built = Path(scratch) / "engines"
        export_checkpoint(folder, built, ENGINES, None, partial(print, file=sys.stderr))
        checkpoint = load_checkpoint(folder)
        observation = _observation(checkpoint.spec)
        torch.set_num_threads(THREADS)
        loaded = {name: load_engine(built / name, threads=THREADS) for name in ENGINES}
        infer = {"torch": Policy(checkpoint).infer}
        infer |= {name: engine.infer for name, engine in loaded.items()}
        candidates = {name: partial(call, observation) for name, call in infer.items()}
        status = run("engines", candidates, options, reference="torch")
        for engine in loaded.values():
            engine.close()
    return status


def _observation(spec: PolicySpec) -> Observation:
    random = np.random.default_rng(0)
    vectors = {f.key: np.zeros(f.boundary_shape, np.float32) for f in spec.vectors}
    pictures = {
        f.key: random.integers(0, 256, f.boundary_shape, dtype=np.uint8) for f in spec.cameras
    }
    return vectors | pictures


if __name__ == "__main__":
    main(bench, rounds=30)
