"""Load an engine folder with TensorRT: the plan from the cache, or built now.

Every load compares the engine with torch's recorded answers in the folder before it is used; the
parity of a new plan is cached with it, and a plan that fails is not cached. During an export there
are no recorded answers yet, and the export validates the engine. Raises EngineError when TensorRT
is missing, cannot build the model, or is further from torch than the recipe allows.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from actd.engine.cuda.driver import CudaDriver, open_driver
from actd.engine.manifest import Manifest
from actd.engine.reference import check_reference
from actd.engine.tensorrt.availability import missing, require, trt_module
from actd.engine.tensorrt.builder import BuildSettings, build_plan, inspect
from actd.engine.tensorrt.engine import TrtEngine, open_plan
from actd.engine.tensorrt.plans import PlanCache, PlanKey
from actd.errors import EngineError
from actd.hashing import sha256

__all__ = ["load", "missing", "prepare"]

_log = logging.getLogger(__name__)


def load(folder: Path, manifest: Manifest, threads: int | None, spin: bool) -> TrtEngine:
    """The engine of a verified folder. The first time it builds its plan, which takes minutes."""
    del threads
    require()
    return prepare(trt_module(), folder, manifest, PlanCache(), spin=spin)


def prepare(
    trt: Any, folder: Path, manifest: Manifest, cache: PlanCache, *, spin: bool
) -> TrtEngine:
    """The engine of a folder, its plan from `cache`, or built and checked. Raises EngineError."""
    driver = open_driver(spin=spin)
    try:
        calibration = manifest.calibration
        check_size = calibration is None or calibration.form == "static"
        settings = BuildSettings(manifest.recipe.precision, check_size)
        return _Job(trt, folder, manifest, settings, cache, driver).run()
    except BaseException as error:
        # TensorRT's objects in the frames of the failure go before the CUDA context
        traceback.clear_frames(error.__traceback__)
        driver.close()
        raise


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything needed to load one engine."""

    trt: Any
    folder: Path
    manifest: Manifest
    settings: BuildSettings
    cache: PlanCache
    driver: CudaDriver

    def run(self) -> TrtEngine:
        """The engine, with its plan from the cache if possible."""
        key = self._key()
        with self.cache.locked(key):
            cached = self.cache.find(key)
            if cached.plan is None:
                return self._build(key, cached.reason)
            try:
                trt_engine = open_plan(self.trt, cached.plan)
            except EngineError as error:
                return self._build(key, f"rebuilding because {error}")
            engine = self._engine(trt_engine)
            parity_report = self._recorded_parity(engine)
            if parity_report and not cached.facts.get("parity_report"):
                self._note(
                    self.cache.keep(
                        key, cached.plan, {**cached.facts, "parity_report": parity_report}
                    )
                )
            return engine

    def _build(self, key: PlanKey, reason: str) -> TrtEngine:
        """Build the plan, load it, check it and cache it."""
        _log.warning("%s: %s; building a plan may take minutes", self.manifest.engine, reason)
        started_ns = perf_counter_ns()
        onnx = self.folder / self.manifest.model
        result = build_plan(self.trt, onnx, self.settings, self.cache.timings(key))
        seconds = (perf_counter_ns() - started_ns) / 1e9
        self._note(self.cache.keep_timings(key, result.timing_cache))
        trt_engine = open_plan(self.trt, result.plan)
        facts = {
            "reason": reason,
            "build_s": round(seconds, 1),
            "bytes": len(result.plan),
            "weights": result.weights,
            "tensors": dict(result.tensors),
            "layers": inspect(self.trt, trt_engine, self.settings.precision),
        }
        engine = self._engine(trt_engine)
        parity_report = self._recorded_parity(engine)
        self._note(self.cache.keep(key, result.plan, {**facts, "parity_report": parity_report}))
        return engine

    def _engine(self, trt_engine: Any) -> TrtEngine:
        engine = TrtEngine(self.trt, self.driver, trt_engine, self.manifest)
        for note in engine.notes:
            _log.info("%s: %s", engine.name, note)
        return engine

    def _recorded_parity(self, engine: TrtEngine) -> dict[str, Any] | None:
        """The errors on the folder's reference, None during an export. Raises EngineError."""
        if not self.manifest.published:
            return None
        parity = check_reference(engine, self.folder, self.manifest)
        tolerance = self.manifest.reference_tolerance.model_dump(exclude_none=True)
        return {"statistics": parity.to_dict(), "tolerance": tolerance}

    def _key(self) -> PlanKey:
        device, model = self.driver.device, self.manifest.model
        hashes = {record.name: record.sha256 for record in self.manifest.files}
        return PlanKey(
            onnx_sha256=hashes.get(model) or sha256(self.folder / model),
            tensorrt=_version(self.trt),
            gpu=device.name,
            compute_capability=device.compute_capability,
            driver=device.driver,
            precision=self.settings.precision,
            settings=self.settings.describe(),
        )

    def _note(self, problem: str) -> None:
        if problem:
            _log.warning("%s: not cached: %s", self.manifest.engine, problem)


def _version(trt: Any) -> str:
    return f"RTX {trt.__version__}" if "rtx" in trt.__name__ else str(trt.__version__)
