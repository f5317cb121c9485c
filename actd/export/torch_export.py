"""Write a policy as a torch.export program: a graph in JSON and raw tensors.

Raises only what torch's exporter raises.
"""

from __future__ import annotations

from pathlib import Path

from actd.engine.observations import blank
from actd.engine.torch_runtime import keep_compiled_code
from actd.export.quiet import quiet
from actd.policy.checkpoint import Checkpoint


def write_pt2(checkpoint: Checkpoint, file: Path) -> None:
    """Write the policy to `file` as a torch.export archive with inputs in the spec's order."""
    import torch

    from actd.policy.network import Policy

    keep_compiled_code()
    zeros = tuple(torch.from_numpy(array) for array in blank(checkpoint.spec).values())
    with quiet(), torch.no_grad():
        torch.export.save(torch.export.export(Policy(checkpoint), zeros), file)
