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
# As many rows a second as a dataset may have.
_MAX_HZ = 1e4
_MAX_NUMBER = 1e15


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """What the files tell. `features` are the dataset's descriptions of its features, by key,
    `dataset_folder` where it lies on this computer, `episodes` those of its episodes that were
    trained on, None where nothing was chosen. `simulator_hz` and `control_mode` are those of
    the environment that the policy was evaluated in: its rate need not be the dataset's.
    """

    training: Training
    features: Mapping[str, Mapping[str, Any]]
    dataset_folder: Path | None = None
    episodes: frozenset[int] | None = None
    simulator_hz: float | None = None
    control_mode: str | None = None


def read_training(folder: Path) -> TrainingFiles:
    """What the files in and around a LeRobot checkpoint folder tell."""
    config = _object(folder / TRAIN_CONFIG)
    dataset = _section(config, "dataset")
    name, revision = _text(dataset.get("repo_id")), _text(dataset.get("revision"))
    dataset_folder = local_folder(name, _text(dataset.get("root")), revision)
    info = _object(dataset_folder / INFO) if dataset_folder else {}
    simulator = _section(config, "env")
    step = _number(_object(folder.parent / _STEP).get("step"))
    batch = _number(config.get("batch_size"))
    training = Training(
        dataset=name,
        dataset_revision=revision,
        robot_type=_text(info.get("robot_type")),
        step=None if step is None else int(step),
        batch_size=None if batch is None else int(batch),
        fps=_rate(info.get("fps")),
    )
    features = _section(info, "features")
    return TrainingFiles(
        training,
        {key: value for key, value in features.items() if isinstance(value, dict)},
        dataset_folder,
        _episodes(dataset.get("episodes")),
        _rate(simulator.get("fps")),
        _text(simulator.get("control_mode")),
    )


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


def _episodes(value: object) -> frozenset[int] | None:
    if not isinstance(value, list) or not all(type(number) is int for number in value):
        return None
    return frozenset(value) or None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _MAX_NUMBER else None


def _rate(value: object) -> float | None:
    hz = _number(value)
    return hz if hz is not None and 0 < hz <= _MAX_HZ else None
