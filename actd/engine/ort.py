"""Run an engine with ONNX Runtime on the CPU.

An observation that does not match the policy is an EngineError naming the key; so is a runtime
that is missing or that silently chose another device.

Uses plain `run` rather than IO binding: on the CPU both read the caller's arrays in place and
take the same time. The optimized graph is not cached: optimization takes a few tenths of a second,
and the result fits one CPU only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import not_importable
from actd.engine.manifest import Manifest
from actd.engine.staged import StagedEngine
from actd.errors import EngineError, one_line

OUTPUT = "actions"
_PROVIDER = "CPUExecutionProvider"


class OrtEngine(StagedEngine):
    """An ONNX file in a CPU session of its own."""

    def __init__(self, file: Path, manifest: Manifest, threads: int | None, spin: bool) -> None:
        super().__init__(manifest)
        self._session: Any = _session(file, threads, spin)
        self._feeds: Mapping[str, NDArray[Any]] = {}
        self._actions = np.empty(0, np.float32)

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._feeds = arrays

    def _run(self) -> None:
        self._actions = self._session.run((OUTPUT,), self._feeds)[0]

    def _copy_out(self) -> NDArray[np.float32]:
        return self._actions

    def _free(self) -> None:
        self._session, self._feeds = None, {}


def missing(runtime: str) -> list[str]:
    """What this computer lacks for ONNX Runtime on the CPU."""
    del runtime
    return not_importable("onnxruntime", "cpu")


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> OrtEngine:
    """The engine of a verified folder."""
    return OrtEngine(folder / manifest.model, manifest, threads, spin)


def _session(file: Path, threads: int | None, spin: bool) -> Any:
    try:
        import onnxruntime as ort
    except ImportError:
        raise EngineError(
            f"{file}: onnxruntime is not installed; pip install 'actd[cpu]'"
        ) from None
    options = ort.SessionOptions()
    # with an explicit count it does not pin its threads; its default pins them to arbitrary cores
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    try:
        session = ort.InferenceSession(str(file), options, providers=[_PROVIDER])
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors share no base class
        reason = one_line(error)[:200]
        raise EngineError(f"{file}: onnxruntime cannot load it ({reason}); export again") from None
    if session.get_providers() != [_PROVIDER]:
        raise EngineError(
            f"{file}: asked for {_PROVIDER}, got {session.get_providers()}; reinstall onnxruntime"
        )
    return session
