"""The parquet files of a dataset, to and from numpy. Needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.datasets.paths import (
    DONE,
    INDEX_FEATURES,
    REWARD,
    SCORE_FEATURES,
    SUCCESS,
    library,
)
from actd.errors import RecordingError
from actd.files import check_file

_TASK_COLUMN = "__index_level_0__"


def read(path: Path, columns: Sequence[str] | None = None, episode: int | None = None) -> Any:
    """A table, or of one episode the rows. Raises RecordingError."""
    parquet = library("pyarrow.parquet")
    arrow = library("pyarrow")
    filters = None if episode is None else [("episode_index", "==", episode)]
    try:
        check_file(path)
        return parquet.read_table(path, columns=columns, filters=filters)
    except FileNotFoundError:
        raise RecordingError(
            f"{path}: no such file, the dataset is not complete; fetch it again"
        ) from None
    except (OSError, arrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise RecordingError(f"{path}: not readable ({reason}); fetch it again") from None


def vectors(table: Any, key: str) -> NDArray[Any]:
    """One numeric column as (rows, dim); a column of plain numbers gives (rows, 1).

    Raises RecordingError for a column of something else.
    """
    column = table[key].combine_chunks()
    rows = len(column)
    types = library("pyarrow").types
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    while any(is_list(column.type) for is_list in lists):
        column = column.flatten()
    if types.is_nested(column.type):
        raise RecordingError(f"{key}: {column.type} is not a number: fetch the dataset again")
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "iufb" or len(values) % max(1, rows):
        raise RecordingError(
            f"{key}: {table[key].type} is not a vector of numbers in every row; fetch the dataset "
            "again"
        )
    return values.reshape(rows, -1)


def write_rows(
    path: Path, features: Mapping[str, Mapping[str, Any]], rows: Mapping[str, NDArray[Any]]
) -> None:
    """Write the data file of one episode; `rows` holds (n, dim) per feature."""
    arrow = library("pyarrow")
    columns = {}
    for key, feature in features.items():
        if feature["dtype"] == "video":
            continue
        values = arrow.array(rows[key].astype(feature["dtype"], copy=False).ravel())
        dim = rows[key].shape[1]
        columns[key] = values if dim == 1 else arrow.FixedSizeListArray.from_arrays(values, dim)
    library("pyarrow.parquet").write_table(arrow.table(columns), path)


def write_episode(path: Path, row: Mapping[str, Any], like: Any = None) -> None:
    """Write the description of one episode, with the columns of schema `like` where given."""
    arrow = library("pyarrow")
    plain = {
        key: [value.tolist() if isinstance(value, np.ndarray) else value]
        for key, value in row.items()
    }
    table = arrow.table(plain)
    if like is not None:
        missing = [name for name in like.names if name not in plain]
        if missing:
            raise RecordingError(
                f"{path.name}: {missing[0]}: kept for the episodes of this dataset, and not known "
                "here; record into another folder"
            )
        table = table.select(like.names).cast(like)
    library("pyarrow.parquet").write_table(table, path)


def read_tasks(path: Path) -> list[str]:
    """Task texts in order of their number."""
    table = read(path)
    text = next(name for name in table.column_names if name != "task_index")
    by_number = dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))
    return [by_number[number] for number in sorted(by_number)]


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the task list. LeRobot reads it with pandas, the text as the index."""
    arrow = library("pyarrow")
    table = arrow.table(
        {"task_index": arrow.array(range(len(tasks)), arrow.int64()), _TASK_COLUMN: list(tasks)}
    )
    pandas = {
        "index_columns": [_TASK_COLUMN],
        "column_indexes": [],
        "columns": [
            _pandas_column("task_index", "task_index", "int64"),
            _pandas_column(None, _TASK_COLUMN, "unicode"),
        ],
        "pandas_version": "2.2.0",
    }
    table = table.replace_schema_metadata({"pandas": json.dumps(pandas)})
    library("pyarrow.parquet").write_table(table, path)


def index_rows(
    episode: int, first: int, count: int, fps: int, task: int
) -> dict[str, NDArray[Any]]:
    """The columns that every episode has, (count, 1) each; `first` is its first row of all."""
    frame = np.arange(count).reshape(-1, 1)
    columns = {
        "timestamp": frame / fps,
        "frame_index": frame,
        "episode_index": np.full_like(frame, episode),
        "index": first + frame,
        "task_index": np.full_like(frame, task),
    }
    return {key: columns[key].astype(INDEX_FEATURES[key]["dtype"]) for key in INDEX_FEATURES}


def score_rows(count: int, *, success: bool) -> dict[str, NDArray[Any]]:
    """The columns of a scored episode, (count, 1) each: its last row is done, and a success."""
    last = np.arange(count).reshape(-1, 1) == count - 1
    columns = {REWARD: last & success, DONE: last, SUCCESS: last & success}
    return {key: columns[key].astype(SCORE_FEATURES[key]["dtype"]) for key in SCORE_FEATURES}


def _pandas_column(name: str | None, field: str, kind: str) -> dict[str, Any]:
    numpy_type = "int64" if kind == "int64" else "object"
    return {
        "name": name,
        "field_name": field,
        "pandas_type": kind,
        "numpy_type": numpy_type,
        "metadata": None,
    }
