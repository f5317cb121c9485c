"""Frames of a folder of images and states.

One sub-folder per camera, named as in the policy (`observation.images.top`, or `top` for short),
with its image files in order of their names; beside them `states.npy`, `states.csv` or
`states.npz` with one row per image. A `.npz` has an array per feature name; the other two have the
policy's only vector. Numbers in file names are compared as numbers. Images are decoded on demand.
Raises EngineError that names the file, what was found and what is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation
from actd.engine.observations import UNREADABLE, read_npz
from actd.errors import EngineInputError, one_line
from actd.files import check_file, read_text
from actd.policy.spec import Feature, PolicySpec

_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})
STATES = ("states.npz", "states.npy", "states.csv")


def is_image_folder(path: Path, spec: PolicySpec) -> bool:
    """Whether `path` is a folder of images and states for this policy."""
    return any(_folder(path, camera) for camera in spec.cameras)


class ImageFolder:
    """A checked folder of images and states; `len` is its number of frames."""

    def __init__(self, path: Path, spec: PolicySpec) -> None:
        self._images = {camera: _files(path, camera) for camera in spec.cameras}
        self._states = _states(path, spec)
        counts = {camera.camera: len(files) for camera, files in self._images.items()}
        counts |= {key: len(rows) for key, rows in self._states.items()}
        if len(set(counts.values())) > 1:
            summary = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise EngineInputError(
                f"{path}: found {summary}; give one row per image of every camera"
            )
        self._length = next(iter(counts.values()))

    def __len__(self) -> int:
        return self._length

    def take(self, indexes: Sequence[int]) -> list[Observation]:
        """The observations of these frames."""
        return [
            {camera.key: _read(files[i], camera) for camera, files in self._images.items()}
            | {key: rows[i] for key, rows in self._states.items()}
            for i in indexes
        ]


def _folder(path: Path, camera: Feature) -> Path | None:
    names = (path / camera.key, path / camera.camera)
    return next((folder for folder in names if folder.is_dir()), None)


def _files(path: Path, camera: Feature) -> list[Path]:
    """A camera's image files in order."""
    folder = _folder(path, camera)
    if folder is None:
        folders = ", ".join(sorted(f.name for f in path.iterdir() if f.is_dir()))
        raise EngineInputError(
            f"{path}: {camera.camera}: no such folder, has {folders or 'none'}; "
            "give one folder of images per camera of the policy"
        )
    files = [file for file in folder.iterdir() if file.suffix.lower() in _IMAGES]
    if not files:
        raise EngineInputError(f"{folder}: no image; give {', '.join(sorted(_IMAGES))} files")
    return sorted(files, key=_by_number)


def _by_number(file: Path) -> list[tuple[int, str]]:
    """Sorts `9.png` before `10.png`."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", file.stem)
    ]


def _read(file: Path, camera: Feature) -> NDArray[np.uint8]:
    """One image as RGB of the policy's size."""
    import cv2

    bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if bgr is None:
        raise EngineInputError(f"{file}: not a readable image; remove it or save it again")
    height, width, _ = camera.boundary_shape
    if bgr.shape[:2] != (height, width):
        raise EngineInputError(
            f"{file}: {bgr.shape[0]}x{bgr.shape[1]}, the policy takes {height}x{width} "
            f"(height x width); resize all with: mogrify -resize '{width}x{height}!' "
            f"{file.parent}/*{file.suffix}"
        )
    rgb: NDArray[np.uint8] = np.ascontiguousarray(bgr[:, :, ::-1])
    return rgb


def _states(path: Path, spec: PolicySpec) -> dict[str, NDArray[np.float32]]:
    """The rows (frames, D) of every vector that the policy takes."""
    if not spec.vectors:
        return {}
    file = next((path / name for name in STATES if (path / name).is_file()), None)
    if file is None:
        raise EngineInputError(f"{path}: no states; give {' or '.join(STATES)}, a row per image")
    keys = [feature.key for feature in spec.vectors]
    if file.suffix != ".npz" and len(keys) > 1:
        raise EngineInputError(
            f"{file}: the policy takes {', '.join(keys)}; give them as states.npz"
        )
    try:
        arrays = read_npz(file, keys) if file.suffix == ".npz" else {keys[0]: _rows(file)}
        rows = {key: array.astype(np.float32) for key, array in arrays.items()}
    except UNREADABLE as error:
        reason = one_line(error)[:100]
        raise EngineInputError(
            f"{file}: not readable as numbers ({reason}); save it again"
        ) from None
    for feature in spec.vectors:
        shape = rows[feature.key].shape
        if len(shape) != 2 or shape[1:] != feature.shape:
            raise EngineInputError(
                f"{file}: {feature.key}: found {shape}; need (frames, {feature.shape[0]})"
            )
    return rows


def _rows(file: Path) -> NDArray[np.float64]:
    """The numbers of a .npy or .csv file; a .csv may begin with a line of names."""
    if file.suffix == ".npy":
        check_file(file)
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
    lines = read_text(file).splitlines()
    has_header = bool(lines) and re.search(r"[A-Za-z_]{2}", lines[0]) is not None
    return np.loadtxt(lines[has_header:], delimiter=",", dtype=np.float64, ndmin=2)
