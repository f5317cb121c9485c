"""The common part of all runtimes: check inputs, time the stages, refuse use after close.

A runtime implements four steps. Raises EngineError for an observation that does not match the
policy, with the same message on every runtime, and for a closed engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation, Stages
from actd.engine.manifest import Manifest
from actd.engine.observations import select_inputs
from actd.errors import EngineError


class StagedEngine(ABC):
    """An Engine whose inference is: copy in, run, copy out."""

    def __init__(self, manifest: Manifest) -> None:
        self.name = manifest.engine
        self.spec = manifest.spec
        self.stages = Stages()
        self._closed = False

    def infer(self, observation: Observation) -> NDArray[np.float32]:
        """One chunk, (chunk_size, action_dim), in physical units.

        Raises EngineError when a key is missing or a shape or dtype is not the spec's.
        """
        if self._closed:
            raise EngineError(f"{self.name}: used after it was closed; load it again")
        started_ns = perf_counter_ns()
        self._copy_in(select_inputs(observation, self.spec))
        ready_ns = perf_counter_ns()
        self._run()
        done_ns = perf_counter_ns()
        actions = self._copy_out()
        self.stages = Stages(ready_ns - started_ns, done_ns - ready_ns, perf_counter_ns() - done_ns)
        return actions

    def close(self) -> None:
        """Free what the runtime holds. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._free()

    @abstractmethod
    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy checked inputs, in the spec's order, to where the runtime reads them."""

    @abstractmethod
    def _run(self) -> None:
        """Run the model, and return when it is done."""

    @abstractmethod
    def _copy_out(self) -> NDArray[np.float32]:
        """The actions, in memory that the next inference does not overwrite."""

    @abstractmethod
    def _free(self) -> None:
        """Free what the runtime holds. Called once."""
