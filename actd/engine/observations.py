"""Read observations from files, split them, and check them against the policy.

Reads .npz files whose keys are feature names; returns dictionaries for an engine. Raises
EngineError that names the file and the key.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Observation
from actd.errors import EngineError
from actd.files import check_file
from actd.policy.spec import Feature, PolicySpec

# What numpy, zipfile and zlib raise for files that are damaged or of another kind.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    AttributeError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

# How far beyond the range of the training data a number may be, by that range, before it is named.
_UNLIKE = 0.1
_ROUNDING = 1e-6


def read(path: Path, spec: PolicySpec) -> list[dict[str, NDArray[Any]]]:
    """All observations in an .npz file, or in a folder of them (by name).

    A file has one observation, or several along a leading axis of all arrays.
    """
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise EngineError(f"{path}: no .npz file; give a file or a folder of observations")
    return [obs for file in files for obs in split(read_arrays(file, spec), spec, file)]


def read_arrays(file: Path, spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """The arrays of one .npz file under the policy's input names."""
    return read_npz(file, [f.key for f in spec.inputs])


def read_npz(file: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays `keys` of one .npz file; never unpickles."""
    try:
        check_file(file)
        with np.load(file, allow_pickle=False) as archive:
            missing_keys = [key for key in keys if key not in archive.files]
            if missing_keys:
                raise EngineError(
                    f"{file}: {missing_keys[0]}: missing, has "
                    f"{', '.join(archive.files) or 'nothing'}; "
                    "name the arrays as the policy names its inputs"
                )
            return {key: archive[key] for key in keys}
    except FileNotFoundError:
        raise EngineError(f"{file}: no such file; give an .npz file of observations") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineError(
            f"{file}: not a readable .npz file ({reason}); write it with np.savez"
        ) from None


def split(
    arrays: dict[str, NDArray[Any]], spec: PolicySpec, file: Path
) -> list[dict[str, NDArray[Any]]]:
    """Single observations, with or without a leading axis in the arrays; all checked."""
    counts = {f.key: batch(arrays[f.key], f, str(file)) for f in spec.inputs}
    if len(set(counts.values())) > 1:
        raise EngineError(f"{file}: arrays of different lengths {counts}; give one per observation")
    count = next(iter(counts.values()))
    if count is None:
        return [arrays]
    return [{key: array[i] for key, array in arrays.items()} for i in range(count)]


def batch(array: NDArray[Any], feature: Feature, source: str) -> int | None:
    """Length of the array's leading axis, None without one. Raises EngineError for other shapes."""
    shape = feature.boundary_shape
    leading = array.shape[0] if array.ndim == len(shape) + 1 else None
    one = array if leading is None else array[0] if leading else np.empty(shape, array.dtype)
    check(one, feature, source)
    return leading


def check(array: NDArray[Any], feature: Feature, source: str = "observation") -> None:
    """Raise EngineError unless `array` is what the engine takes for `feature`."""
    dtype, shape = feature.boundary_dtype, feature.boundary_shape
    if array.shape != shape or array.dtype != dtype:
        description = "RGB (height, width, 3)" if feature.kind == "VISUAL" else "vector"
        raise EngineError(
            f"{source}: {feature.key}: found {array.dtype} {array.shape}; "
            f"need {dtype} {shape}, {description}"
        )


def outside_training(
    observation: Observation, spec: PolicySpec, names: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """A sentence for each number of a vector that is where the training data never were, by name.

    `names` of the numbers of a feature, by its key.
    """
    found: dict[str, str] = {}
    for feature in spec.vectors:
        ranges = spec.likely_range(feature.key)
        if ranges is None:
            continue
        low, high = (np.array(end) for end in ranges)
        values = np.asarray(observation[feature.key], np.float64)
        # a number that never changed may still differ in its last binary digit
        margin = _UNLIKE * (high - low) + _ROUNDING * np.maximum(np.abs(low), np.abs(high))
        for i in np.flatnonzero((values < low - margin) | (values > high + margin)).tolist():
            name = names[feature.key][i] if feature.key in names else f"value {i}"
            lowest, highest = f"{low[i]:.4g}", f"{high[i]:.4g}"
            where = lowest if lowest == highest else f"{lowest} to {highest}"
            said = f"{feature.key}: {name} is {values[i]:.4g}, training never left {where}"
            found[f"{feature.key} {name}"] = said
    return found


def select_inputs(observation: Observation, spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """The policy's inputs, in its order, each checked; other keys are ignored."""
    arrays = {}
    for feature in spec.inputs:
        array = observation.get(feature.key)
        if array is None:
            raise EngineError(
                f"observation: {feature.key}: missing, found {', '.join(observation) or 'nothing'}"
                f"; need {feature.boundary_shape}"
            )
        check(array, feature)
        arrays[feature.key] = array
    return arrays


def blank(spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """An observation of zeros."""
    return {f.key: np.zeros(f.boundary_shape, f.boundary_dtype) for f in spec.inputs}


def random_observation(spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """Noise images and zero vectors: the time of an inference does not depend on values."""
    random = np.random.Generator(np.random.PCG64(0))
    return {
        f.key: random.integers(0, 256, f.boundary_shape, np.uint8)
        if f.kind == "VISUAL"
        else np.zeros(f.shape, np.float32)
        for f in spec.inputs
    }
