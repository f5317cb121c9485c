"""A candidate of a comparison: an engine folder, or a checkpoint run by torch.

Manifest and checkpoint are read on first use, the engine is loaded by `open`. Raises EngineError
or CheckpointError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine
from actd.engine.manifest import MANIFEST, Manifest, read_manifest
from actd.engine.recipe import Tolerance
from actd.errors import EngineError
from actd.hashing import sha256
from actd.policy.spec import PolicySpec

if TYPE_CHECKING:
    from actd.policy.checkpoint import Checkpoint

TORCH = "torch"


@dataclass(frozen=True)
class Candidate:
    """An engine `folder`, or without one the `checkpoint`, read with `overrides`, run by torch.

    `name` labels its figures. `threads` None: the runtime's default. The fields are plain JSON
    data, so that another process can open it too; `overrides` are the arguments of
    actd.policy.overrides.Overrides.
    """

    name: str
    folder: str | None = None
    checkpoint: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None

    @cached_property
    def manifest(self) -> Manifest | None:
        """The engine's manifest, None for torch itself."""
        return None if self.folder is None else read_manifest(Path(self.folder))

    @property
    def place(self) -> str:
        """The folder of the engine or of the checkpoint."""
        return self.folder or str(self._checkpoint.folder)

    @property
    def runtime(self) -> str:
        """The runtime that runs it."""
        return self.manifest.runtime if self.manifest else TORCH

    @property
    def spec(self) -> PolicySpec:
        """Its inputs and outputs."""
        return self.manifest.spec if self.manifest else self._checkpoint.spec

    @cached_property
    def policy(self) -> str:
        """The identity of its checkpoint."""
        return self.manifest.source.identity if self.manifest else self._checkpoint.identity()

    @cached_property
    def identity(self) -> str:
        """A hash that changes whenever its chunks may."""
        return sha256(Path(self.folder) / MANIFEST) if self.folder else self.policy

    @property
    def action_std(self) -> tuple[float, ...] | None:
        """Each joint's standard deviation in training (action_dim,), None where unknown."""
        return self.manifest.action_std if self.manifest else self._checkpoint.action_std()

    @property
    def tolerance(self) -> Tolerance | None:
        """Its recipe's tolerance against torch, None for torch itself."""
        return self.manifest.recipe.tolerance if self.manifest else None

    def open(self, *, spin: bool = False) -> OpenCandidate:
        """Load it. `spin`: its threads may wait actively between inferences."""
        if self.folder is not None:
            engine = load_engine(Path(self.folder), threads=self.threads, spin=spin)
            return OpenCandidate(self, engine.infer, engine.close, engine)
        checkpoint = self._checkpoint
        import torch

        from actd.policy.network import Policy

        if self.threads:
            torch.set_num_threads(self.threads)
        return OpenCandidate(self, Policy(checkpoint).infer, lambda: None)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        if self.checkpoint is None:
            raise EngineError(f"{self.name}: no checkpoint known; give one with --checkpoint")
        try:
            from actd.policy.checkpoint import load_checkpoint
            from actd.policy.overrides import Overrides

            return load_checkpoint(self.checkpoint, Overrides.again(self.overrides))
        except ImportError as error:
            raise needs_export(error) from None


@dataclass(frozen=True, slots=True)
class OpenCandidate:
    """A loaded candidate: `infer` returns a chunk (chunk_size, action_dim) in physical units.

    `engine` is None for torch itself.
    """

    candidate: Candidate
    infer: Callable[[Observation], NDArray[np.float32]]
    close: Callable[[], None]
    engine: Engine | None = None

    @property
    def name(self) -> str:
        """Its label."""
        return self.candidate.name

    @property
    def spec(self) -> PolicySpec:
        """Its inputs and outputs."""
        return self.candidate.spec


def needs_export(error: ImportError) -> EngineError:
    """The error for a torch or exporter that is not installed."""
    return EngineError(f"{error.name} is not installed; pip install 'actd[export]'")
