"""Writes a policy as torch's own exported program: a graph in JSON and raw tensors.

Takes a checkpoint, writes the file it is told. Fails only by torch's exporter's own errors.
"""

from __future__ import annotations

from pathlib import Path

from actd.build.quiet import quiet
from actd.engine.torch_runtime import keep_compiled_code
from actd.policy.checkpoint import Checkpoint


def write_pt2(checkpoint: Checkpoint, file: Path) -> None:
    """Write the policy as a torch.export archive that takes the inputs in the spec's order."""
    import numpy as np
    import torch

    from actd.policy.network import Policy

    keep_compiled_code()
    blank = tuple(
        torch.from_numpy(np.zeros(f.boundary_shape, np.uint8 if f.kind == "VISUAL" else np.float32))
        for f in checkpoint.spec.inputs
    )
    with quiet(), torch.no_grad():
        torch.export.save(torch.export.export(Policy(checkpoint), blank), file)
