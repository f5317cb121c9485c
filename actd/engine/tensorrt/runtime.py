"""From an engine folder to a running TensorRT engine: the plan from the cache, or built now.

Every load holds the engine against torch's answers in the folder before anything uses it; the
verdict on a new plan is kept with it, and a plan that fails is not kept. While an engine is being
exported there is nothing to hold it against: who exports it judges it. Raises EngineError when
TensorRT cannot be had, cannot build the model, or is further from torch than the recipe allows.
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
    """The engine of a folder, its plan taken from `cache` or built and judged. EngineError."""
    driver = open_driver(spin=spin)
    try:
        calibration = manifest.calibration
        small = calibration is None or calibration.form == "static"
        settings = BuildSettings(manifest.recipe.precision, small)
        return _Job(trt, folder, manifest, settings, cache, driver).run()
    except BaseException as error:
        # TensorRT's objects in the frames of the failure go before the CUDA context
        traceback.clear_frames(error.__traceback__)
        driver.close()
        raise


@dataclass(frozen=True, slots=True)
class _Job:
    """One engine to be had, and everything needed for it."""

    trt: Any
    folder: Path
    manifest: Manifest
    settings: BuildSettings
    cache: PlanCache
    driver: CudaDriver

    def run(self) -> TrtEngine:
        """The engine, from the cache where that has what is needed."""
        key = self._key()
        with self.cache.locked(key):
            kept = self.cache.find(key)
            if kept.plan is None:
                return self._build(key, kept.why)
            try:
                opened = open_plan(self.trt, kept.plan)
            except EngineError as error:
                return self._build(key, f"rebuilding because {error}")
            engine = self._engine(opened)
            parity_report = self._recorded_parity(engine)
            if parity_report and not kept.facts.get("parity_report"):
                self._note(
                    self.cache.keep(key, kept.plan, {**kept.facts, "parity_report": parity_report})
                )
            return engine

    def _build(self, key: PlanKey, why: str) -> TrtEngine:
        """Build, load, judge and keep."""
        _log.warning("%s: %s; a plan takes up to minutes", self.manifest.engine, why)
        started_ns = perf_counter_ns()
        onnx = self.folder / self.manifest.model
        built = build_plan(self.trt, onnx, self.settings, self.cache.timings(key))
        seconds = (perf_counter_ns() - started_ns) / 1e9
        self._note(self.cache.keep_timings(key, built.timing_cache))
        opened = open_plan(self.trt, built.plan)
        facts = {
            "why": why,
            "build_s": round(seconds, 1),
            "bytes": len(built.plan),
            "weights": built.weights,
            "tensors": dict(built.tensors),
            "layers": inspect(self.trt, opened, self.settings.precision),
        }
        engine = self._engine(opened)
        parity_report = self._recorded_parity(engine)
        self._note(self.cache.keep(key, built.plan, {**facts, "parity_report": parity_report}))
        return engine

    def _engine(self, opened: Any) -> TrtEngine:
        engine = TrtEngine(self.trt, self.driver, opened, self.manifest)
        for note in engine.notes:
            _log.info("%s: %s", engine.name, note)
        return engine

    def _recorded_parity(self, engine: TrtEngine) -> dict[str, Any] | None:
        """The errors on the folder's reference, None during an export. Raises EngineError."""
        if not self.manifest.published:
            return None
        parity = check_reference(engine, self.folder, self.manifest)
        tolerance = self.manifest.recipe.tolerance.model_dump()
        return {"statistics": parity.to_dict(), "tolerance": tolerance}

    def _key(self) -> PlanKey:
        device, model = self.driver.device, self.manifest.model
        known = {record.name: record.sha256 for record in self.manifest.files}
        return PlanKey(
            onnx_sha256=known.get(model) or sha256(self.folder / model),
            tensorrt=_version(self.trt),
            gpu=device.name,
            compute_capability=device.compute_capability,
            driver=device.driver,
            precision=self.settings.precision,
            settings=self.settings.describe(),
        )

    def _note(self, problem: str) -> None:
        if problem:
            _log.warning("%s: nothing is kept: %s", self.manifest.engine, problem)


def _version(trt: Any) -> str:
    return f"RTX {trt.__version__}" if "rtx" in trt.__name__ else str(trt.__version__)
