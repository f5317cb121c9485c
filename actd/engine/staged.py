"""What every runtime does around its own arithmetic: check, time, and refuse after the end.

A runtime fills in four steps. Raises EngineError for an observation that is not the policy's,
always in the same words, and for an engine that was closed.
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
from actd.engine.observations import gather
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
        self._copy_in(gather(observation, self.spec))
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
        """Bring checked inputs, in the spec's order, to where they are computed on."""

    @abstractmethod
    def _run(self) -> None:
        """Compute, and return when it is done."""

    @abstractmethod
    def _copy_out(self) -> NDArray[np.float32]:
        """The actions, in memory that the next inference leaves alone."""

    @abstractmethod
    def _free(self) -> None:
        """Free what the runtime holds. Called once."""
