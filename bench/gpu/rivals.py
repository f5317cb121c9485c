"""What the engines are held against on the same GPU: this policy in torch, and LeRobot itself.

Both begin with frames in host memory and end with actions in host memory, as the engines do.
What cannot run here is an EngineError that says why.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation
from actd.errors import EngineError
from bench.lerobot_peer import VARIABLE, LeRobot

# Contender -> the type that torch computes in.
TORCH = {"torch-fp32": "float32", "torch-fp16": "float16"}

Infer = Callable[[Observation], NDArray[np.float32]]


def torch_policy(checkpoint: Path, precision: str, device: str) -> Infer:
    """The checkpoint in torch's eager mode; float16 by autocast, as torch's users do it."""
    try:
        import torch

        from actd.policy.checkpoint import load_checkpoint
        from actd.policy.network import Policy
    except ImportError as error:
        raise EngineError(f"{error.name} is not installed") from None
    if device == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"torch {torch.__version__} sees no CUDA device")
    policy = Policy(load_checkpoint(checkpoint)).to(device)
    keys = [feature.key for feature in policy.spec.inputs]
    dtype = getattr(torch, precision)

    def infer(observation: Observation) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast(device, dtype, dtype != torch.float32):
            inputs = (torch.from_numpy(observation[key]).to(device) for key in keys)
            return np.asarray(policy(*inputs).float().cpu().numpy())

    return infer


def lerobot(
    checkpoint: Path, observation: Mapping[str, NDArray[Any]], device: str, scratch: Path
) -> LeRobot:
    """LeRobot's ACTPolicy in a process of its own; the caller closes it."""
    python = os.environ.get(VARIABLE) or (sys.executable if find_spec("lerobot") else None)
    if python is None:
        raise EngineError(f"lerobot is not installed, and {VARIABLE} is not set")
    try:
        threads = os.cpu_count() or 1
        return LeRobot(python, checkpoint, observation, threads, scratch, device=device)
    except RuntimeError as error:
        raise EngineError(str(error)) from None
