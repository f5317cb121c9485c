"""What is known of a checkpoint's training: dataset, step, rate, joint names.

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

from actd.files import read_json
from actd.policy.hub import home

_CONFIG = "train_config.json"
_STEP = Path("training_state/training_step.json")
_INFO = Path("meta/info.json")


@dataclass(frozen=True, slots=True)
class Training:
    """None, or empty, is "not known". Names are in the order of the vectors."""

    dataset: str | None = None
    step: int | None = None
    batch_size: int | None = None
    fps: float | None = None
    joints: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


def read_training(folder: Path) -> Training:
    """What the files in and around a LeRobot checkpoint folder tell."""
    config = _object(folder / _CONFIG)
    dataset = _section(config, "dataset")
    info = next((i for place in _dataset_folders(dataset) if (i := _object(place / _INFO))), {})
    features = _section(info, "features")
    fps = _number(info.get("fps")) or _number(_section(config, "env").get("fps"))
    name = dataset.get("repo_id")
    step = _number(_object(folder.parent / _STEP).get("step"))
    batch = _number(config.get("batch_size"))
    return Training(
        dataset=str(name) if name else None,
        step=None if step is None else int(step),
        batch_size=None if batch is None else int(batch),
        fps=fps,
        joints=_names(features.get("action")),
        states=_names(features.get("observation.state")),
    )


def _dataset_folders(dataset: Mapping[str, Any]) -> Iterator[Path]:
    root, name = dataset.get("root"), dataset.get("repo_id")
    if isinstance(root, str):
        yield Path(root).expanduser()
    if isinstance(name, str):
        yield Path(os.environ.get("HF_LEROBOT_HOME") or home() / "lerobot").expanduser() / name


def _names(feature: object) -> tuple[str, ...]:
    """A feature's element names: a list, or lists under a heading such as "motors"."""
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, dict):
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _object(file: Path) -> Mapping[str, Any]:
    try:
        data = read_json(file)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = data.get(key)
    return section if isinstance(section, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value >= 0 else None
