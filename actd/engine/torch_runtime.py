"""Run an engine with torch: eager, or compiled by torch.compile.

The model is a torch.export archive: a graph in JSON and raw tensors. An archive with anything that
torch would unpickle or execute is refused before torch reads it. torch's thread count is global to
the process, so it is set for each inference and restored. A missing torch and failures of the
compiler are EngineErrors.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import not_importable
from actd.engine.cache import cache_root
from actd.engine.manifest import Manifest
from actd.engine.observations import blank
from actd.engine.pt2 import check_archive
from actd.engine.staged import StagedEngine
from actd.errors import EngineError, one_line

_read_lock = threading.Lock()
_INDUCTOR_CACHE = "TORCHINDUCTOR_CACHE_DIR"


class TorchEngine(StagedEngine):
    """An exported program, in float32."""

    def __init__(self, file: Path, manifest: Manifest, threads: int | None) -> None:
        super().__init__(manifest)
        import torch

        self._threads = threads or torch.get_num_threads()
        self._program: Any = _read(file)
        self._inputs: tuple[Any, ...] = ()
        self._actions: Any = None
        if manifest.recipe.compile:
            self._program = _compiled(self._program, manifest.engine)
            self._warm_up(file)

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        import torch

        # torch warns about read-only arrays
        writable = (np.require(array, requirements=("C", "W")) for array in arrays.values())
        self._inputs = tuple(torch.from_numpy(array) for array in writable)

    def _run(self) -> None:
        import torch

        process_threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.no_grad():
                self._actions = self._program(*self._inputs)
        finally:
            torch.set_num_threads(process_threads)

    def _copy_out(self) -> NDArray[np.float32]:
        return np.array(self._actions.numpy())

    def _free(self) -> None:
        self._program = self._actions = None
        self._inputs = ()

    def _warm_up(self, file: Path) -> None:
        """Compile by running once. Raises EngineError with the compiler's reason."""
        try:
            self.infer(blank(self.spec))
        except Exception as error:  # noqa: BLE001  the compiler's errors share no base class
            reason = one_line(error)[:300]
            raise EngineError(
                f"{file}: torch.compile failed ({reason}); use the engine `torch`, or a CPU engine"
            ) from None


def missing(runtime: str) -> list[str]:
    """What this computer lacks for torch."""
    del runtime
    return not_importable("torch", "export")


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> TorchEngine:
    """The engine of a verified folder. `spin` has no effect on torch."""
    del spin
    keep_compiled_code()
    if problems := missing(manifest.runtime):
        raise EngineError(f"{folder}: {problems[0]}")
    return TorchEngine(folder / manifest.model, manifest, threads)


def keep_compiled_code() -> None:
    """Make torch cache compiled code in actd's cache. Call before torch.export is used.

    torch's default is a folder in /tmp that another user may have created first.
    """
    os.environ.setdefault(_INDUCTOR_CACHE, str(cache_root() / "inductor"))


def _read(file: Path) -> Any:
    """The program in an archive that is safe to load."""
    import torch

    check_archive(file)
    try:
        with _read_lock:  # torch reads one archive at a time and says so only by failing
            return torch.export.load(str(file)).module()
    except Exception as error:  # noqa: BLE001  torch's reader raises many kinds
        reason = one_line(error)[:200]
        raise EngineError(f"{file}: torch cannot load it ({reason}); export again") from None


def _compiled(program: Any, name: str) -> Any:
    """The program behind torch.compile, its weights frozen into the code."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise EngineError(
            f"{name}: torch.compile needs a C++ compiler and {compiler} is not installed; "
            "install g++ or set CXX"
        )
    import torch

    return torch.compile(program, fullgraph=True, dynamic=False, options={"freezing": True})
