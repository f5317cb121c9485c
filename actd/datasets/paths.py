"""Where a LeRobotDataset keeps what: names, path templates, and its info file.

Reads and checks `meta/info.json`; a folder that is no dataset, or one of an unknown
version, is a RecordingError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd import files
from actd.element_names import element_count, element_names
from actd.errors import RecordingError

Image = NDArray[np.uint8]
"""RGB, (height, width, 3)."""

STATE = "observation.state"
ENVIRONMENT = "observation.environment_state"
ACTION = "action"
INTERVENTION = "intervention"
"""One bool in every row: whether a human led the arm, as LeRobot's own rollouts name it."""

INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

V20, V21, V30 = "v2.0", "v2.1", "v3.0"
"""What can be read: v2.0 differs from v2.1 only in where statistics are, and none are read."""

INDEX_FEATURES: dict[str, dict[str, Any]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    **{
        key: {"dtype": "int64", "shape": [1], "names": None}
        for key in ("frame_index", "episode_index", "index", "task_index")
    },
}
"""What every row carries besides the robot's own features."""

SUCCESS, DONE, REWARD = "next.success", "next.done", "next.reward"
SCORE_FEATURES: dict[str, dict[str, Any]] = {
    REWARD: {"dtype": "float32", "shape": [1], "names": None},
    DONE: {"dtype": "bool", "shape": [1], "names": None},
    SUCCESS: {"dtype": "bool", "shape": [1], "names": None},
}
"""What a row of a scored episode carries besides, as LeRobot's own datasets do."""


def library(module: str) -> Any:
    """Import an optional module. RecordingError says how to install it."""
    try:
        return import_module(module)
    except ImportError:
        raise RecordingError(
            f"datasets need {module.split('.', maxsplit=1)[0]}, which is not installed; "
            "pip install 'actd[record]'"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises RecordingError."""
    try:
        content = files.read_json(path)
        if not isinstance(content, dict):
            raise ValueError(f"found {type(content).__name__}, expected an object")
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: not readable ({error}); fetch the dataset again") from None
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object; numpy arrays become lists."""
    text = json.dumps(content, indent=4, ensure_ascii=False, default=lambda array: array.tolist())
    path.write_text(text, encoding="utf-8")


def read_info(root: Path) -> dict[str, Any]:
    """`meta/info.json` of a dataset of a known version. Raises RecordingError."""
    path = root / INFO
    if not path.is_file():
        raise RecordingError(
            f"{root}: not a LeRobotDataset, it has no {INFO}; give the folder that holds meta/"
        )
    info = read_json(path)
    version, features, fps = (info.get(key) for key in ("codebase_version", "features", "fps"))
    if version not in (V20, V21, V30):
        older = str(version).startswith("v1.")
        remedy = "LeRobot 0.1 to 0.3 converts it" if older else "update actd"
        raise RecordingError(
            f"{path}: codebase_version: found {version}, known are {V20}, {V21} and {V30}; {remedy}"
        )
    if not isinstance(features, dict) or not isinstance(fps, (int, float)) or not 0 < fps <= 1e4:
        raise RecordingError(f"{path}: features or fps is not usable; fetch the dataset again")
    for key, feature in {"timestamp": None, **features}.items():
        if not _is_feature(feature):
            raise RecordingError(
                f"{path}: features.{key}: need a dtype and a shape, found {feature!r:.60}; fetch "
                "the dataset again"
            )
    return info


def _is_feature(feature: object) -> bool:
    if not isinstance(feature, dict) or not isinstance(feature.get("dtype"), str):
        return False
    shape, infos = feature.get("shape"), [feature.get(key) for key in ("info", "video_info")]
    return (
        isinstance(shape, list)
        and all(isinstance(size, int) and 0 <= size < 1 << 24 for size in shape)
        and all(info is None or isinstance(info, dict) for info in infos)
    )


def names_of(feature: Mapping[str, Any]) -> list[str]:
    """Names of a vector's elements, as many as it has; numbers where the dataset gives none."""
    return list(element_names(feature)) or [str(i) for i in range(element_count(feature))]


def successor(chunk: int, file: int, chunk_files: int) -> tuple[int, int]:
    """The next chunk and file number, `chunk_files` files to a chunk."""
    return (chunk, file + 1) if file + 1 < chunk_files else (chunk + 1, 0)
