"""What takes part in a benchmark, described so that another process can open it too.

An engine folder is opened by its runtime; without a folder it is the checkpoint itself, run by
torch, which every engine is compared with. Raises EngineError or CheckpointError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine
from actd.engine.manifest import Manifest, read_manifest
from actd.errors import EngineError
from actd.policy.spec import PolicySpec

TORCH = "torch"


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine folder or a checkpoint, and how many threads it computes on; plain JSON data.

    `overrides` are the arguments of actd.policy.overrides.Hints.
    """

    name: str
    threads: int | None = None
    folder: str | None = None
    checkpoint: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def runtime(self) -> str:
        """What runs it."""
        return TORCH if self.folder is None else read_manifest(Path(self.folder)).runtime

    def open(self) -> Opened:
        """Load it."""
        if self.folder is not None:
            folder = Path(self.folder)
            manifest = read_manifest(folder)
            engine = load_engine(folder, threads=self.threads, spin=True)
            return Opened(self, engine.infer, engine.spec, engine.close, engine, manifest)
        if self.checkpoint is None:
            raise EngineError(f"{self.name}: no checkpoint known; give one with --checkpoint")
        try:
            return self._open_checkpoint(self.checkpoint)
        except ImportError as error:
            raise needs_export(error) from None

    def _open_checkpoint(self, path: str) -> Opened:
        import torch

        from actd.policy.checkpoint import load_checkpoint
        from actd.policy.network import Policy
        from actd.policy.overrides import Overrides

        if self.threads:
            torch.set_num_threads(self.threads)
        policy = Policy(load_checkpoint(path, Overrides.again(self.overrides)))
        return Opened(self, policy.infer, policy.spec, lambda: None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A contender that is ready to infer; `engine` and `manifest` are None for torch itself."""

    contender: Contender
    infer: Callable[[Observation], NDArray[np.float32]]
    spec: PolicySpec
    close: Callable[[], None]
    engine: Engine | None = None
    manifest: Manifest | None = None

    @property
    def name(self) -> str:
        """Its row's name."""
        return self.contender.name


def needs_export(error: ImportError) -> EngineError:
    """What to say where torch or the exporter is not installed."""
    return EngineError(f"{error.name} is not installed; pip install 'actd[export]'")
