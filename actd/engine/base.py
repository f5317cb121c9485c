"""The interface that every runtime implements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actd.policy.spec import PolicySpec

Observation = Mapping[str, NDArray[Any]]
"""LeRobot feature name -> array: cameras uint8 RGB (H, W, 3), vectors float32 (D,)."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Where one inference spent its time, in nanoseconds.

    `copy_in_ns`: checking the observation and copying it to the device; `run_ns`: computing;
    `copy_out_ns`: copying the actions back. All 0 before the first inference.
    """

    copy_in_ns: int = 0
    run_ns: int = 0
    copy_out_ns: int = 0


class Engine(Protocol):
    """A loaded policy that turns one observation into one chunk of actions.

    Not thread-safe: one engine belongs to one thread.
    """

    @property
    def name(self) -> str:
        """The recipe's name, such as `ort-int8`."""
        ...

    @property
    def spec(self) -> PolicySpec:
        """The engine's inputs and outputs."""
        ...

    @property
    def stages(self) -> Stages:
        """The stage times of the latest inference."""
        ...

    def infer(self, observation: Observation) -> NDArray[np.float32]:
        """One chunk, (chunk_size, action_dim), in physical units.

        Raises EngineError when a key is missing or a shape or dtype is not the spec's.
        """
        ...

    def close(self) -> None:
        """Free what the runtime holds. Safe to call twice."""
        ...


def not_importable(library: str, extra: str) -> list[str]:
    """Why a runtime's library cannot be imported here and what to install; empty where it can."""
    try:
        import_module(library)
    except ImportError as error:
        return [f"{library} cannot be imported ({error}); pip install 'actd[{extra}]'"]
    return []
