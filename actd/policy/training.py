"""What is known of a checkpoint's training: dataset, step, rate, names of the numbers.

Reads train_config.json, the training state beside a checkpoint and, where the dataset
lies on this machine, its meta/info.json. All of it is optional and informs people
only: what is missing or unreadable is simply not known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actd.errors import CheckpointError
from actd.files import read_json
from actd.policy.files import TRAIN_CONFIG
from actd.policy.hub import home, snapshot
from actd.policy.spec import Training

_STEP = Path("training_state/training_step.json")
_INFO = Path("meta/info.json")


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """What the files tell. `features` are the dataset's descriptions of its features, by key."""

    training: Training
    features: Mapping[str, Mapping[str, Any]]


def read_training(folder: Path) -> TrainingFiles:
    """What the files in and around a LeRobot checkpoint folder tell."""
    config = _object(folder / TRAIN_CONFIG)
    dataset = _section(config, "dataset")
    info = next((i for place in _dataset_folders(dataset) if (i := _object(place / _INFO))), {})
    fps = _number(info.get("fps")) or _number(_section(config, "env").get("fps"))
    step = _number(_object(folder.parent / _STEP).get("step"))
    batch = _number(config.get("batch_size"))
    training = Training(
        dataset=_text(dataset.get("repo_id")),
        dataset_revision=_text(dataset.get("revision")),
        robot_type=_text(info.get("robot_type")),
        step=None if step is None else int(step),
        batch_size=None if batch is None else int(batch),
        fps=fps,
    )
    features = _section(info, "features")
    return TrainingFiles(training, {k: v for k, v in features.items() if isinstance(v, dict)})


def _dataset_folders(dataset: Mapping[str, Any]) -> Iterator[Path]:
    """Where LeRobot keeps a dataset: the folder it was told, a recording, a download."""
    root, name = dataset.get("root"), dataset.get("repo_id")
    if isinstance(root, str):
        yield Path(root).expanduser()
    if not isinstance(name, str):
        return
    lerobot = Path(os.environ.get("HF_LEROBOT_HOME") or home() / "lerobot").expanduser()
    yield lerobot / name
    download = lerobot / "hub" / f"datasets--{name.replace('/', '--')}"
    for revision in (_text(dataset.get("revision")), "main"):
        try:
            yield snapshot(download, revision or "main")
        except (CheckpointError, OSError):
            continue


def _object(file: Path) -> Mapping[str, Any]:
    try:
        data = read_json(file)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = data.get(key)
    return section if isinstance(section, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value >= 0 else None
