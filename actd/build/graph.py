"""Writes a policy as one ONNX file: uint8 pictures and raw vectors in, physical actions out.

Takes a checkpoint, writes the file it is told. Fails only by torch's exporter's own errors.
"""

from __future__ import annotations

from pathlib import Path

from actd.build.quiet import quiet
from actd.engine.ort import OUTPUT
from actd.policy.checkpoint import Checkpoint


def write_onnx(checkpoint: Checkpoint, file: Path, opset: int) -> None:
    """Write the policy as one ONNX file whose inputs bear the feature names."""
    import torch

    from actd.policy.network import Policy
    from actd.policy.synthetic import synthetic

    policy = Policy(checkpoint)
    example = synthetic(checkpoint, count=1, seed=0)[0]
    keys = [feature.key for feature in checkpoint.spec.inputs]
    with quiet():
        torch.onnx.export(
            policy,
            tuple(torch.from_numpy(example[key]) for key in keys),
            str(file),
            input_names=keys,
            output_names=[OUTPUT],
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
