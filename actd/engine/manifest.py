"""The engine folder's manifest: its files, their provenance, and the engine's parity.

Reads and writes `manifest.json` and checks the files beside it against their hashes. An engine
that cannot be trusted is an EngineError that names the file, what is wrong with it, and the command
that rebuilds it.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actd.demonstrations import Motion
from actd.engine.acceptance import AddedError
from actd.engine.recipe import Recipe, Tolerance
from actd.engine.verify import Parity
from actd.errors import EngineInputError
from actd.files import read_json
from actd.hashing import sha256
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec, Training

FORMAT = 1
MANIFEST = "manifest.json"
# What earlier engines have and nothing reads any more.
_FORMER_KEYS = (("recipe", "quantization", "any_cpu"), ("parity", "ensembled"))


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Model):
    """One file of the engine, by name relative to its folder."""

    name: str
    sha256: str
    bytes: int = Field(ge=0)


class SourceCheckpoint(_Model):
    """The checkpoint that the engine was built from.

    `path` and `overrides`, what was said of it, load it again. `identity` is a SHA-256 of
    everything that its answers depend on, weights and statistics. `revision`, of one from
    the Hugging Face hub, loads it from anywhere: `owner/name@commit`.
    """

    path: str
    revision: str | None = None
    weights_sha256: str
    identity: str = ""
    overrides: dict[str, Any] = {}

    @property
    def reference(self) -> str:
        """What loads it: its path where it is here, else its revision on the hub.

        The path of another computer, which is no name on the hub, stays one.
        """
        here = Path(self.path).absolute()
        return self.revision if self.revision and not here.exists() else str(here)


class BuildInfo(_Model):
    """Versions, computer and time of the build."""

    actd: str | None
    torch: str | None
    onnx: str | None
    onnxruntime: str | None
    openvino: str | None = None
    cpu: str
    cpu_flags: tuple[str, ...]
    platform: str
    utc: str


Form = Literal["static", "dynamic", "weights"]


class FloatLayer(_Model):
    """A layer left in float, and the error that it alone would cause in 8 bits.

    `error_std` is the worst joint's 99th percentile in standard deviations, None if the recipe
    names the layer, which is then not measured.
    """

    layer: str
    error_std: float | None


class Calibration(_Model):
    """How an 8-bit engine was quantised.

    `form`: `static` (ranges measured on `frames` frames of `source` by `method`), or without
    frames `dynamic` (measured in every inference) and `weights` (only weights are 8-bit).
    `float_share` is the part of the multiply-adds of convolutions and linear layers that
    stays float. `reduce_range`: weights use 7 bits, for CPUs whose 8-bit sums saturate.
    """

    form: Form
    source: str | None
    frames: int
    method: str | None
    reduce_range: bool
    float_layers: tuple[FloatLayer, ...]
    float_share: float


class RecordedParity(_Model):
    """Errors against torch in float32, and whether the recipe allows them.

    `added` is what the engine adds to the policy's own error, None without recorded actions.
    `on_reference` is what the errors may be on the reference observations of the engine's folder,
    on any computer; None: what the recipe allows.
    `validation_runtime` is the runtime that computed them: another than the engine's own if the
    computer that built it lacks that.
    """

    source: str
    validation_runtime: str
    statistics: Parity
    added: AddedError | None = None
    tolerance: dict[str, float]
    on_reference: Tolerance | None = None
    passed: bool


class Manifest(_Model):
    """Everything about one engine.

    `action_std` is per joint, physical units, None if unknown. `training` and `warnings` are what
    the checkpoint said of itself, and `motion` how the demonstrations move that it was trained on,
    so that it is known where the engine runs.
    """

    format: int = Field(default=FORMAT, ge=1)
    engine: str
    runtime: str
    precision: str
    model: str
    files: tuple[FileRecord, ...]
    spec: PolicySpec
    action_std: tuple[float, ...] | None
    recipe: Recipe
    source: SourceCheckpoint
    training: Training = Training()
    motion: Motion | None = None
    warnings: tuple[str, ...] = ()
    built: BuildInfo
    calibration: Calibration | None
    parity: RecordedParity | None

    @model_validator(mode="after")
    def _of_one_policy(self) -> Manifest:
        if self.motion is not None and len(self.motion.start) != self.spec.action_dim:
            raise ValueError(f"motion: need {self.spec.action_dim} values of each")
        return self

    @property
    def published(self) -> bool:
        """Whether the engine is complete: during its build the manifest lists no files."""
        return bool(self.files)

    @property
    def reference_tolerance(self) -> Tolerance:
        """What the errors may be on the reference observations, on any computer."""
        recorded = self.parity.on_reference if self.parity else None
        return recorded or self.recipe.tolerance

    @property
    def rebuild(self) -> str:
        """The command that rebuilds this engine."""
        frames = self.calibration.source if self.calibration else None
        words = [
            "actd",
            "export",
            self.source.revision or self.source.path,
            *Overrides.again(self.source.overrides).options(),
        ]
        words += ["--out", "DIR", "--engine", self.engine]
        return shlex.join([*words, "--calibration", frames] if frames else words)

    @property
    def size_bytes(self) -> int:
        """Size of the model file."""
        return sum(file.bytes for file in self.files if file.name == self.model)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into the engine's folder."""
    text = manifest.model_dump_json(indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an engine folder, without checking its files. Raises EngineError."""
    file = folder / MANIFEST
    hint = "rebuild with: actd export CHECKPOINT --out DIR --engine NAME"
    try:
        data = read_json(file)
    except FileNotFoundError:
        raise EngineInputError(_not_an_engine(folder)) from None
    except (OSError, ValueError) as error:
        raise EngineInputError(f"{file}: not readable JSON ({error}); {hint}") from None
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise EngineInputError(
            f"{file}: format: {version}, this actd reads up to {FORMAT}; update actd or {hint}"
        )
    for *path, key in _FORMER_KEYS:
        section: Any = data
        for name in path:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.pop(key, None)
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "manifest"
        whole = first["type"] in {"missing", "value_error"}
        value = "" if whole else f", found {str(first['input'])[:60]!r}"
        message = first["msg"].removeprefix("Value error, ").lower()
        raise EngineInputError(f"{file}: {key}: {message}{value}; {hint}") from None


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raise EngineError unless every file has the size and hash it was built with."""
    if manifest.model not in {record.name for record in manifest.files}:
        raise EngineInputError(
            f"{folder / MANIFEST}: model: {manifest.model!r} is not among its files; "
            f"rebuild with: {manifest.rebuild}"
        )
    for record in manifest.files:
        file = folder / record.name
        problem = (
            "outside the engine folder"
            if Path(record.name).name != record.name
            else (_difference(file, record))
        )
        if problem:
            raise EngineInputError(f"{file}: {problem}; rebuild with: {manifest.rebuild}")


def record_file(file: Path) -> FileRecord:
    """The record of a file as it is now."""
    return FileRecord(name=file.name, sha256=sha256(file), bytes=file.stat().st_size)


def _difference(file: Path, record: FileRecord) -> str:
    """What is wrong with a file, empty when nothing is."""
    try:
        size = file.stat().st_size
        if size != record.bytes:
            return f"{size} bytes, built with {record.bytes}"
        digest = sha256(file)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if digest != record.sha256:
        return f"sha256 {digest[:12]}…, built with {record.sha256[:12]}…"
    return ""


def _not_an_engine(folder: Path) -> str:
    engines = sorted(file.parent.name for file in folder.glob(f"*/{MANIFEST}"))
    if engines:
        return (
            f"{folder}: no {MANIFEST}, but engines inside: {', '.join(engines)}; give one of them"
        )
    problem = f"no {MANIFEST}" if folder.is_dir() else "no such folder"
    return (
        f"{folder}: {problem}; give an engine folder, "
        "or build one with: actd export CHECKPOINT --out DIR --engine NAME"
    )
