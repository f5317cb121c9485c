"""Write a policy as one ONNX file: uint8 images and raw vectors in, physical actions out.

The graph is that of the optimized policy (actd.export.graph.optimize). Raises only what torch's
exporter raises.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from actd.engine.observations import blank
from actd.engine.ort import OUTPUT
from actd.export.quiet import quiet
from actd.policy.checkpoint import Checkpoint
from actd.policy.spec import PolicySpec

if TYPE_CHECKING:
    from torch import nn

# The exporter's native opset, written without conversion.
_OPSET = 18


def write_onnx(checkpoint: Checkpoint, file: Path) -> None:
    """Write the policy as one ONNX file whose inputs have the feature names."""
    from actd.export.graph.optimize import OptimizedPolicy
    from actd.policy.network import Policy

    write_module(OptimizedPolicy(Policy(checkpoint)), checkpoint.spec, file)


def write_module(module: nn.Module, spec: PolicySpec, file: Path) -> None:
    """Write a module that takes the spec's inputs in order and returns the actions."""
    import torch

    keys = [feature.key for feature in spec.inputs]
    with quiet():
        torch.onnx.export(
            module,
            tuple(torch.from_numpy(array) for array in blank(spec).values()),
            str(file),
            input_names=keys,
            output_names=[OUTPUT],
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
