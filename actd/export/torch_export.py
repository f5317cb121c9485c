"""Writes a policy as torch's own exported program: a graph in JSON and raw tensors.

Takes a checkpoint, writes the file it is told. Fails only by torch's exporter's own errors.
"""

from __future__ import annotations

from pathlib import Path

from actd.engine.observations import blank
from actd.engine.torch_runtime import keep_compiled_code
from actd.export.quiet import quiet
from actd.policy.checkpoint import Checkpoint


def write_pt2(checkpoint: Checkpoint, file: Path) -> None:
    """Write the policy as a torch.export archive that takes the inputs in the spec's order."""
    import torch

    from actd.policy.network import Policy

    keep_compiled_code()
    zeros = tuple(torch.from_numpy(array) for array in blank(checkpoint.spec).values())
    with quiet(), torch.no_grad():
        torch.export.save(torch.export.export(Policy(checkpoint), zeros), file)
