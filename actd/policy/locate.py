"""Finds a checkpoint's folder from whatever a user has: a folder, a run, a cache, a reference.

Reads no file's contents. Anything ambiguous is a CheckpointError that names the
choices; nothing is picked silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actd.errors import CheckpointError
from actd.policy import hub
from actd.policy.files import CONFIG, WEIGHTS
from actd.policy.reference import read_reference

ORIGINAL_WEIGHTS = "policy_best.ckpt"
ORIGINAL_SUFFIX = ".ckpt"

_WITHIN = ("", "pretrained_model", "last/pretrained_model", "checkpoints/last/pretrained_model")


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint's folder and the file in it that tells its kind.

    `main` is config.json, or the weights of an original ACT.
    """

    folder: Path
    main: Path

    @property
    def is_original(self) -> bool:
        return self.main.suffix == ORIGINAL_SUFFIX


def locate(given: str | Path, format: str = "auto") -> Place:
    """The checkpoint at `given`, or the one a training run or a Hugging Face cache keeps there.

    Where there is no such folder, `given` may name a model of the hub (see read_reference).
    `format` lerobot or original looks for that kind alone. Raises CheckpointError.
    """
    try:
        return _locate(given, format)
    except PermissionError as error:
        raise CheckpointError(
            f"{error.filename or given}: you may not look there; give it read permission, or copy "
            "the checkpoint to a folder of yours"
        ) from None


def _locate(given: str | Path, format: str) -> Place:
    path = Path(given)
    if not path.exists() and (reference := read_reference(str(given))) is not None:
        # a mistyped path of this computer is nobody else's business
        is_here = reference.folder and not reference.revision and Path(path.parts[0]).is_dir()
        path = path if is_here else hub.fetch(reference)
    if path.is_file() and path.suffix == ORIGINAL_SUFFIX:
        folder = path.parent.resolve()
        return Place(folder, folder / path.name)
    if path.is_file() and (path.parent / CONFIG).is_file():
        path = path.parent
    if (path / "snapshots").is_dir():
        path = hub.snapshot(path)
    places = [place for find in _FINDERS[format] if (place := find(path)) is not None]
    if len(places) > 1:
        files = " and ".join(str(place.main) for place in places)
        raise CheckpointError(f"{path}: both {files}; give --format lerobot or --format original")
    if places:
        return places[0]
    raise CheckpointError(f"{path}: {_problem(path)}")


def _lerobot(path: Path) -> Place | None:
    for within in _WITHIN:
        file = path / within / CONFIG
        if file.is_file():
            folder = file.parent.resolve()
            return Place(folder, folder / CONFIG)
    return None


def _original(path: Path) -> Place | None:
    if not (path / ORIGINAL_WEIGHTS).is_file():
        return None
    folder = path.resolve()
    return Place(folder, folder / ORIGINAL_WEIGHTS)


_FINDERS = {"auto": (_lerobot, _original), "lerobot": (_lerobot,), "original": (_original,)}


def _problem(path: Path) -> str:
    """What is there instead of a checkpoint, and what to give."""
    remedy = f"give the folder with {CONFIG} and {WEIGHTS}, or with {ORIGINAL_WEIGHTS}"
    if not path.is_dir() and path.name in ("last", "pretrained_model"):
        # a link that was not copied, such as Windows leaves behind
        path = next((p for p in path.parents if p.is_dir()), path)
    if path.is_file():
        return f"no {CONFIG} beside it; {remedy}"
    if not path.is_dir():
        return f"no such folder; {remedy}"
    steps = sorted(p.name for p in (*path.glob("*"), *path.glob("checkpoints/*")) if _is_step(p))
    if steps:
        return f"no checkpoint called last among {', '.join(steps)}; give one of them"
    if files := sorted(p.name for p in path.glob(f"*{ORIGINAL_SUFFIX}")):
        return f"no {ORIGINAL_WEIGHTS} but {', '.join(files)}; give one of these files"
    return f"no {CONFIG} here or in pretrained_model; {remedy}"


def _is_step(path: Path) -> bool:
    return path.name.isdigit() and (path / "pretrained_model").is_dir()
