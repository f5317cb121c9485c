"""Read observations from files, split them, and check them against the policy.

Reads .npz files whose keys are feature names; returns dictionaries for an engine. Raises
EngineError that names the file and the key.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from actd.engine.base import Observation
from actd.errors import EngineInputError
from actd.files import check_file
from actd.policy.spec import Feature, PolicySpec
from actd.trained_range import outside, smaller_unit

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


def read(path: Path, spec: PolicySpec) -> list[dict[str, NDArray[Any]]]:
    """All observations in an .npz file, or in a folder of them (by name).

    A file has one observation, or several along a leading axis of all arrays.
    """
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise EngineInputError(f"{path}: no .npz file; give a file or a folder of observations")
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
                raise EngineInputError(
                    f"{file}: {missing_keys[0]}: missing, has "
                    f"{', '.join(archive.files) or 'nothing'}; "
                    "name the arrays as the policy names its inputs"
                )
            return {key: archive[key] for key in keys}
    except FileNotFoundError:
        raise EngineInputError(f"{file}: no such file; give an .npz file of observations") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineInputError(
            f"{file}: not a readable .npz file ({reason}); write it with np.savez"
        ) from None


def split(
    arrays: dict[str, NDArray[Any]], spec: PolicySpec, file: Path
) -> list[dict[str, NDArray[Any]]]:
    """Single observations, with or without a leading axis in the arrays; all checked."""
    counts = {f.key: batch(arrays[f.key], f, str(file)) for f in spec.inputs}
    if len(set(counts.values())) > 1:
        raise EngineInputError(
            f"{file}: arrays of different lengths {counts}; give one per observation"
        )
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
        raise EngineInputError(
            f"{source}: {feature.key}: found {array.dtype} {array.shape}; "
            f"need {dtype} {shape}, {description}"
        )


def unlike_training(
    observation: Observation, spec: PolicySpec, names: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """A sentence for each number of a vector that is where the training data never were, by name.

    `names` of the numbers of a feature, by its key.
    """
    return {
        f"{feature.key} {name}": f"{feature.key}: {words}"
        for feature, labels, low, high in _trained(spec, names)
        for name, words in outside(labels, observation[feature.key], low, high).items()
    }


def unlike_units(
    reach: Mapping[str, ArrayLike], spec: PolicySpec, names: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """A sentence for each vector that is in another unit than training's by its size.

    `reach`: of each vector the largest distances from 0 so far, by its key.
    """
    for feature, labels, low, high in _trained(spec, names):
        if words := smaller_unit(labels, reach[feature.key], low, high):
            yield f"{feature.key}: {words}"


def _trained(
    spec: PolicySpec, names: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Feature, Sequence[str], Sequence[float], Sequence[float]]]:
    """Each vector whose range in training is known, the names of its numbers, and the range."""
    for feature in spec.vectors:
        if (ranges := spec.likely_range(feature.key)) is not None:
            labels = names.get(feature.key) or [f"value {i}" for i in range(feature.shape[0])]
            yield feature, labels, *ranges


def select_inputs(observation: Observation, spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """The policy's inputs, in its order, each checked; other keys are ignored."""
    arrays = {}
    for feature in spec.inputs:
        array = observation.get(feature.key)
        if array is None:
            raise EngineInputError(
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
