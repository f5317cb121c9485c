"""What every row of a dataset holds, and whether that is what a folder's dataset holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actd.datasets import paths
from actd.element_names import element_names
from actd.errors import RecordingError


@dataclass(frozen=True, slots=True)
class Form:
    """What every row of a dataset holds.

    `vectors`: feature key -> names of its elements; `cameras`: feature key -> (height, width).
    `scored`: every episode is a success or a failure. `flags`: keys of features that are one
    bool; a dataset that is continued may lack those.
    """

    fps: int
    vectors: Mapping[str, tuple[str, ...]]
    cameras: Mapping[str, tuple[int, int]]
    robot_type: str | None = None
    scored: bool = False
    flags: tuple[str, ...] = ()

    def features(self) -> dict[str, dict[str, Any]]:
        """The features as the info file describes them, rows' own indices included."""
        vectors = {
            key: {"dtype": "float32", "shape": [len(names)], "names": list(names)}
            for key, names in self.vectors.items()
        }
        videos = {
            key: {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": ["height", "width", "channels"],
            }
            for key, (height, width) in self.cameras.items()
        }
        scores = paths.SCORE_FEATURES if self.scored else {}
        flags = {key: {"dtype": "bool", "shape": [1], "names": None} for key in self.flags}
        return {**vectors, **videos, **scores, **flags, **paths.INDEX_FEATURES}


def new_info(form: Form) -> dict[str, Any]:
    """The info file of a dataset without episodes."""
    return {
        "codebase_version": paths.V30,
        "robot_type": form.robot_type,
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": form.fps,
        "splits": {},
        "data_path": paths.DATA,
        "video_path": paths.VIDEOS if form.cameras else None,
        "features": form.features(),
    }


def check_compatible(root: Path, info: Mapping[str, Any], form: Form) -> None:
    """Refuse to add to a dataset of other rows. RecordingError names the first difference."""
    features = form.features()
    elsewhere = "record into another folder"
    path = root / paths.INFO
    if info["codebase_version"] != paths.V30:
        raise RecordingError(
            f"{path}: codebase_version: only {paths.V30} can be added to, this is "
            f"{info['codebase_version']}; {elsewhere}"
        )
    if info["fps"] != form.fps:
        raise RecordingError(
            f"{path}: fps: the dataset has {info['fps']}, this recording {form.fps}; "
            f"give --fps {info['fps']}, or {elsewhere}"
        )
    usual = {"data_path": paths.DATA, "video_path": paths.VIDEOS}
    if any((info.get(key) or template) != template for key, template in usual.items()):
        raise RecordingError(f"{path}: data_path, video_path: not the usual ones; {elsewhere}")
    stored = info["features"]
    for key in [*features, *stored]:
        if key not in stored or key not in features:
            holder = "this recording" if key in features else "the dataset"
            raise RecordingError(f"{path}: features.{key}: only {holder} has it; {elsewhere}")
        for part in ("dtype", "shape", "names"):
            old, new = stored[key].get(part), features[key][part]
            if part == "names":
                # Some datasets leave names out, and those of an image's axes mean nothing.
                old = list(element_names(stored[key]))
                if not old or stored[key]["dtype"] == "video":
                    continue
            if old != new:
                raise RecordingError(
                    f"{path}: features.{key}.{part}: the dataset has {old}, "
                    f"this recording {new}; {elsewhere}"
                )
