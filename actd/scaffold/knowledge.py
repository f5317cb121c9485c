"""What is known of a policy and of the demonstrations that it was trained on.

From an engine's manifest or a checkpoint's files, completed by the dataset: the one that is given,
else the one that the files name, where it lies on this computer. Raises ActdError.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from actd.config.fit import SAME_RATE
from actd.datasets import Dataset, open_dataset
from actd.datasets.motion import measure
from actd.demonstrations import Motion
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ActdError, RecordingError, UsageError
from actd.policy.dataset_folder import dataset_folder, local_folder
from actd.policy.files import CONFIG
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec, Training


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`motion` is None without demonstrations, `dataset` where they are not on this computer."""

    spec: PolicySpec
    training: Training
    warnings: tuple[str, ...]
    motion: Motion | None = None
    dataset: Dataset | None = None
    notes: tuple[str, ...] = ()


def learn(source: str | Path, dataset: str | None, overrides: Overrides | None) -> Knowledge:
    """What the checkpoint or engine folder `source` and a dataset say."""
    folder = Path(source)
    if (folder / MANIFEST).is_file() or _holds_engines(folder):
        manifest = read_manifest(folder)
        known = Knowledge(manifest.spec, manifest.training, manifest.warnings, manifest.motion)
        place = None
        if given := overrides.options() if overrides else ():
            raise UsageError(
                f"{source}: an engine, whose checkpoint is known: {' '.join(given)} would change "
                "nothing; leave it out, or export the checkpoint again with it"
            )
    else:
        known, place = _from_checkpoint(source, overrides)
    if dataset is not None:
        return _with_dataset(known, dataset_folder(dataset), dataset, required=True)
    if known.motion is not None:
        return known
    name, revision = known.training.dataset, known.training.dataset_revision
    place = place or local_folder(name, None, revision)
    if place is not None:
        return _with_dataset(known, place, name or str(place), required=False)
    return replace(known, notes=(_missing(name),))


def _holds_engines(folder: Path) -> bool:
    """Whether it is no checkpoint but has engines inside, which the error names."""
    is_checkpoint = (folder / CONFIG).is_file()
    return not is_checkpoint and any(folder.glob(f"*/{MANIFEST}"))


def _from_checkpoint(
    path: str | Path, overrides: Overrides | None
) -> tuple[Knowledge, Path | None]:
    try:
        from actd.policy.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path, overrides)
    except ImportError as error:
        raise ActdError(
            f"{path}: reading a checkpoint needs {error.name}: pip install 'actd[export]', "
            "or give an engine folder instead"
        ) from None
    known = Knowledge(checkpoint.spec, checkpoint.training, checkpoint.warnings)
    return known, checkpoint.dataset_folder


def _with_dataset(known: Knowledge, folder: Path, name: str, *, required: bool) -> Knowledge:
    """`known` and what the dataset in `folder` says; one that is not `required` may be useless."""
    try:
        dataset = open_dataset(folder)
        demonstrations = measure(dataset, name)
    except RecordingError as error:
        if required:
            raise
        return replace(known, notes=(f"{error}: limits and the start are not known from it",))
    if words := known.spec.unlike(demonstrations):
        problem = f"{name}: not what the policy was trained on: {words}"
        if required:
            raise UsageError(
                f"--dataset: {problem}; give the dataset of its training, or leave --dataset out"
            )
        return replace(known, notes=(problem,))
    robot_type = known.training.robot_type or demonstrations.robot_type
    return replace(
        known,
        spec=known.spec.completed(demonstrations),
        training=replace(known.training, robot_type=robot_type),
        motion=demonstrations.motion,
        dataset=dataset,
        notes=(*dataset.notes, *_other_rate(known.spec, demonstrations.motion)),
    )


def _other_rate(spec: PolicySpec, motion: Motion) -> tuple[str, ...]:
    if spec.trained_hz is None or abs(motion.fps / spec.trained_hz - 1) <= SAME_RATE:
        return ()
    return (
        f"{motion.source}: recorded at {motion.fps:g} rows per second, the policy was trained at "
        f"{spec.trained_hz:g}: its limits on speed are those of the recording",
    )


def _missing(name: str | None) -> str:
    if name is None:
        return "limits are guesses: --dataset, with what the policy was trained on, knows them"
    return (
        f"trained on {name}, which is not on this computer: --dataset {name} fetches its numbers "
        "(no videos), and leaves less to guess"
    )
