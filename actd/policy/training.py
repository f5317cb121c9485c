"""What is known of a checkpoint's training: dataset, step, rate, names of the numbers.

Reads train_config.json, the training state beside a checkpoint and, where the dataset
lies on this machine, its meta/info.json. All of it is optional and informs people
only: what is missing or unreadable is simply not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actd.files import read_json
from actd.policy.dataset_folder import INFO, local_folder
from actd.policy.files import TRAIN_CONFIG
from actd.policy.spec import Training

_STEP = Path("training_state/training_step.json")


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """What the files tell. `features` are the dataset's descriptions of its features, by key,
    `dataset_folder` where it lies on this computer.
    """

    training: Training
    features: Mapping[str, Mapping[str, Any]]
    dataset_folder: Path | None = None


def read_training(folder: Path) -> TrainingFiles:
    """What the files in and around a LeRobot checkpoint folder tell."""
    config = _object(folder / TRAIN_CONFIG)
    dataset = _section(config, "dataset")
    name, revision = _text(dataset.get("repo_id")), _text(dataset.get("revision"))
    dataset_folder = local_folder(name, _text(dataset.get("root")), revision)
    info = _object(dataset_folder / INFO) if dataset_folder else {}
    fps = _number(info.get("fps")) or _number(_section(config, "env").get("fps"))
    step = _number(_object(folder.parent / _STEP).get("step"))
    batch = _number(config.get("batch_size"))
    training = Training(
        dataset=name,
        dataset_revision=revision,
        robot_type=_text(info.get("robot_type")),
        step=None if step is None else int(step),
        batch_size=None if batch is None else int(batch),
        fps=fps,
    )
    features = _section(info, "features")
    described = {key: value for key, value in features.items() if isinstance(value, dict)}
    return TrainingFiles(training, described, dataset_folder)


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
