"""Runs an engine with ONNX Runtime on the CPU.

Takes an observation, gives a chunk in physical units. An observation that is not
the policy's is an EngineError naming the key; so is a runtime that is missing or
that silently chose another device.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation, Stages
from actd.engine.manifest import Manifest
from actd.engine.observations import check
from actd.errors import EngineError
from actd.policy.spec import PolicySpec

OUTPUT = "actions"
_PROVIDER = "CPUExecutionProvider"


class OrtEngine:
    """An ONNX file in a CPU session of its own."""

    def __init__(
        self, file: Path, name: str, spec: PolicySpec, threads: int | None, spin: bool
    ) -> None:
        self.name = name
        self.spec = spec
        self.stages = Stages()
        self._session: Any = _session(file, threads, spin)

    def infer(self, observation: Observation) -> NDArray[np.float32]:
        """One chunk, (chunk_size, action_dim), in physical units."""
        if self._session is None:
            raise EngineError(f"{self.name}: used after it was closed; load it again")
        started_ns = perf_counter_ns()
        feeds = {}
        for feature in self.spec.inputs:
            array = observation.get(feature.key)
            if array is None:
                raise EngineError(
                    f"observation: {feature.key}: missing, found {', '.join(observation)}; "
                    f"need {feature.boundary_shape}"
                )
            check(array, feature)
            feeds[feature.key] = array
        ready_ns = perf_counter_ns()
        actions: NDArray[np.float32] = self._session.run((OUTPUT,), feeds)[0]
        self.stages = Stages(ready_ns - started_ns, perf_counter_ns() - ready_ns, 0)
        return actions

    def close(self) -> None:
        """Free the session."""
        self._session = None


def missing(runtime: str) -> list[str]:
    """What this computer lacks for ONNX Runtime on the CPU."""
    del runtime
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        return [f"onnxruntime cannot be imported ({error}): pip install 'actd[cpu]'"]
    return []


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> OrtEngine:
    """The engine of a verified folder."""
    return OrtEngine(
        folder / manifest.model, manifest.engine, manifest.policy_spec(), threads, spin
    )


def _session(file: Path, threads: int | None, spin: bool) -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        raise EngineError(
            f"{file}: onnxruntime is not installed; pip install 'actd[cpu]'"
        ) from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    try:
        session = ort.InferenceSession(str(file), options, providers=[_PROVIDER])
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no base class
        reason = " ".join(str(error).split())[:200]
        raise EngineError(f"{file}: onnxruntime cannot load it ({reason}); export again") from None
    if session.get_providers() != [_PROVIDER]:
        raise EngineError(
            f"{file}: asked for {_PROVIDER}, got {session.get_providers()}; reinstall onnxruntime"
        )
    return session
