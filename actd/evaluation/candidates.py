"""Who takes part in an evaluation: engine folders, and the checkpoint that torch runs.

Reads manifests and, for torch, the checkpoint; nothing is computed before `open`. An engine that
is not there is a UsageError. A checkpoint that nobody asked for and that cannot be had is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation
from actd.engine.load import load_engine
from actd.engine.manifest import MANIFEST, Manifest, read_manifest
from actd.engine.recipe import Tolerance
from actd.errors import ActdError, EngineError, UsageError
from actd.hashing import sha256
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec

TORCH = "torch"


class Runner(Protocol):
    """What an evaluation needs of an engine."""

    def infer(self, observation: Observation) -> NDArray[np.float32]:
        """One chunk (chunk, joints), physical units."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Contestant:
    """One engine, not yet loaded. `identity` changes whenever its answers may.

    `policy` is the identity of the checkpoint it comes from, `tolerance` what its recipe allows
    against torch, None for torch itself.
    """

    label: str
    place: str
    identity: str
    policy: str
    spec: PolicySpec
    action_std: tuple[float, ...] | None
    tolerance: Tolerance | None
    open: Callable[[], Runner]


@dataclass(frozen=True, slots=True)
class Lineup:
    """The engines asked for; torch as the reference where it can be had; what to know of them."""

    engines: tuple[Contestant, ...]
    torch: Contestant | None
    notes: tuple[str, ...]

    @property
    def everyone(self) -> tuple[Contestant, ...]:
        """All that are run, torch last."""
        return self.engines if self.torch is None else (*self.engines, self.torch)


def line_up(
    names: Sequence[str],
    folder: Path,
    checkpoint: str | Path | None = None,
    overrides: Overrides | None = None,
    *,
    with_torch: bool = True,
) -> Lineup:
    """Engines by folder, or by name inside `folder`; `torch` is the checkpoint itself.

    Without `checkpoint` it is the one that the engines were built from. Raises UsageError,
    EngineError, and CheckpointError for a checkpoint that was asked for.
    """
    chosen = [name for name in dict.fromkeys(names) if name != TORCH]
    folders = [_engine_folder(name, folder) for name in chosen]
    manifests = [read_manifest(place) for place in folders]
    labels = [manifest.engine for manifest in manifests]
    engines = tuple(
        _contestant(manifest, place, name if labels.count(label) > 1 or label == TORCH else label)
        for manifest, place, name, label in zip(manifests, folders, chosen, labels, strict=True)
    )
    asked = TORCH in names or checkpoint is not None
    if not with_torch:
        if asked:
            raise UsageError("--no-torch: leaves out what --checkpoint or --engine torch ask for")
        return Lineup(engines, None, ())
    source = checkpoint
    if source is None and manifests:
        built_from = manifests[0].source
        source = built_from.path
        overrides = (
            overrides
            if overrides and overrides.options()
            else Overrides.again(built_from.overrides)
        )
    if source is None:
        raise UsageError("--engine torch: which checkpoint: give --checkpoint CKPT")
    try:
        torch = _torch(source, overrides)
    except ActdError as error:
        if asked:
            raise
        return Lineup(engines, None, (f"not compared with torch: {error}",))
    strangers = [engine.label for engine in engines if engine.policy != torch.policy]
    notes = [
        f"{name}: built from other weights or statistics than {source}: not compared with torch"
        for name in strangers
    ]
    return Lineup(engines, torch, tuple(notes))


def _engine_folder(name: str, folder: Path) -> Path:
    places = [Path(name), folder / name]
    for place in places:
        if (place / MANIFEST).is_file():
            return place
    inside = sorted(file.parent.name for file in folder.glob(f"*/{MANIFEST}"))
    raise UsageError(
        f"--engine {name}: no engine there nor in {folder}, which has {', '.join(inside) or 'none'}"
        ": give a folder, or --engines DIR"
    )


def _contestant(manifest: Manifest, place: Path, label: str) -> Contestant:
    return Contestant(
        label=label,
        place=str(place),
        identity=sha256(place / MANIFEST),
        policy=manifest.source.identity,
        spec=manifest.policy_spec(),
        action_std=manifest.action_std,
        tolerance=manifest.recipe.tolerance,
        open=lambda: load_engine(place),
    )


def _torch(path: str | Path, overrides: Overrides | None) -> Contestant:
    try:
        from actd.export.export import action_std
        from actd.policy.checkpoint import load_checkpoint
        from actd.policy.network import Policy

        checkpoint = load_checkpoint(path, overrides)
    except ImportError as error:
        raise EngineError(f"torch needs {error.name}: pip install 'actd[export]'") from None
    identity = checkpoint.identity()
    return Contestant(
        label=TORCH,
        place=str(checkpoint.folder),
        identity=identity,
        policy=identity,
        spec=checkpoint.spec,
        action_std=action_std(checkpoint),
        tolerance=None,
        open=lambda: _TorchRunner(Policy(checkpoint)),
    )


class _TorchRunner:
    """The network itself."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def infer(self, observation: Observation) -> NDArray[np.float32]:
        chunk: NDArray[np.float32] = self._policy.infer(observation)
        return chunk

    def close(self) -> None:
        pass
