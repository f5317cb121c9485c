"""A cache of built plans, each with a JSON file that says what it was built for and measured as.

Plans live in the folder `plans` of actd's cache: one for each model file and precision. A plan is
code: it is used only if it was built here for exactly this model, TensorRT, GPU and driver, and
its bytes have the hash in its JSON file. Otherwise it is rebuilt, and the reason says what changed.
Files are written atomically; a folder that cannot be written costs a rebuild at each start. Only
the most recently written plans are kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from actd.engine.cache import cache_root

FORMAT = 1
_MAX_PLANS = 8

# The names of the key's fields in messages.
_WORDS = {
    "onnx_sha256": "model",
    "tensorrt": "TensorRT",
    "gpu": "GPU",
    "compute_capability": "compute capability",
    "driver": "driver",
    "precision": "precision",
    "settings": "build settings",
}


@dataclass(frozen=True, slots=True)
class PlanKey:
    """Everything that a plan depends on."""

    onnx_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    driver: str
    precision: str
    settings: str

    @property
    def slot(self) -> str:
        """The file name of the plan: a change of anything else in the key replaces it."""
        return f"{self.onnx_sha256[:24]}-{self.precision}"

    @property
    def machine(self) -> str:
        """The file name of the timing cache, which depends on the machine and not on the model."""
        text = f"{self.tensorrt} {self.gpu} {self.compute_capability} {self.driver}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def changes(self, built_for: Mapping[str, Any]) -> str:
        """The differences, such as `TensorRT 10.9 -> 11.4 and GPU A -> B`; empty if none."""
        changes = [
            f"{_WORDS[field.name]} {built_for.get(field.name)} -> {getattr(self, field.name)}"
            for field in fields(self)
            if built_for.get(field.name) != getattr(self, field.name)
        ]
        return " and ".join(filter(None, (", ".join(changes[:-1]), changes[-1]))) if changes else ""


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """What the cache has for a key: a plan and its facts, or None and the `reason`."""

    plan: bytes | None
    facts: Mapping[str, Any]
    reason: str


class PlanCache:
    """A folder of plans. None of its methods raises OSError: a cache may fail."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_root() / "plans"

    def find(self, key: PlanKey) -> CachedPlan:
        """The plan for exactly this key, or why it must be built."""
        file, record_file = self._file(key), self._record(key)
        try:
            record = json.loads(record_file.read_text(encoding="utf-8"))
            plan = file.read_bytes()
        except FileNotFoundError:
            return CachedPlan(None, {}, "building for the first time here")
        except (OSError, ValueError) as error:
            return _rebuild(f"{record_file} cannot be read ({error})")
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            return _rebuild(f"{record_file} is not of format {FORMAT}")
        built_for = record.get("key")
        if changed := key.changes(built_for if isinstance(built_for, dict) else {}):
            return _rebuild(changed)
        if hashlib.sha256(plan).hexdigest() != record.get("plan_sha256"):
            return _rebuild(f"{file} is damaged")
        facts = record.get("facts")
        return CachedPlan(plan, facts if isinstance(facts, dict) else {}, "")

    def keep(self, key: PlanKey, plan: bytes, facts: Mapping[str, Any]) -> str:
        """Store a plan with its facts. Returns why it could not be stored, empty on success."""
        record = {
            "format": FORMAT,
            "key": asdict(key),
            "plan_sha256": hashlib.sha256(plan).hexdigest(),
            "facts": dict(facts),
        }
        text = json.dumps(record, indent=2) + "\n"
        # the plan first: a plan with another's JSON file fails its hash
        problem = self._write(self._file(key), plan)
        problem = problem or self._write(self._record(key), text.encode())
        self._forget_oldest()
        return problem

    def timings(self, key: PlanKey) -> bytes:
        """TensorRT's timing cache for this machine, empty if there is none."""
        try:
            return self._timings(key).read_bytes()
        except OSError:
            return b""

    def keep_timings(self, key: PlanKey, timings: bytes) -> str:
        """Store the timing cache. Returns why it could not be stored, empty on success."""
        return self._write(self._timings(key), timings, f".{os.getpid()}")

    @contextlib.contextmanager
    def locked(self, key: PlanKey) -> Iterator[None]:
        """Lock this plan against other processes, so that only one of them builds it."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = stack.enter_context((self.folder / f"{key.slot}.lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _file(self, key: PlanKey) -> Path:
        return self.folder / f"{key.slot}.plan"

    def _record(self, key: PlanKey) -> Path:
        return self.folder / f"{key.slot}.json"

    def _timings(self, key: PlanKey) -> Path:
        return self.folder / f"{key.machine}.timings"

    def _forget_oldest(self) -> None:
        # Lock files stay: a process waiting for a deleted one would lock a file nobody else sees.
        with contextlib.suppress(OSError):
            plans = sorted(self.folder.glob("*.plan"), key=lambda f: f.stat().st_mtime_ns)
            for plan in plans[:-_MAX_PLANS]:
                plan.with_suffix(".json").unlink(missing_ok=True)
                plan.unlink(missing_ok=True)

    def _write(self, file: Path, data: bytes, writer: str = "") -> str:
        """Write a file atomically. Returns why it could not be written, empty on success.

        `writer` distinguishes concurrent writers of the same file, which `locked` prevents for
        plans but not for timings.
        """
        partial = file.with_name(f"{file.name}{writer}.partial")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(file)
        except OSError as error:
            return f"{file} cannot be written ({error.strerror})"
        return ""


def _rebuild(reason: str) -> CachedPlan:
    return CachedPlan(None, {}, f"rebuilding because {reason}")
