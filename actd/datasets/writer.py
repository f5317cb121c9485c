"""Writing a LeRobotDataset v3.0, one episode at a time.

Each episode has a data file, a description file and a video per camera of its own, so
that nothing that is finished is ever written again; only the info, statistics and task
files are replaced. Continues a dataset that is there, if fps and features are the same.
Raises RecordingError where it cannot, and OSError where the disk fails: the episode is
then lost and every finished one is whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.datasets import paths, staging, tables
from actd.datasets.paths import Image, library, read_info, read_json, successor, write_json
from actd.datasets.schema import Form, check_compatible, new_info
from actd.datasets.stats import ImageStats, Stats, combine, vector_stats
from actd.datasets.video import VideoFile
from actd.errors import RecordingError


class DatasetWriter:
    """Adds episodes to the dataset at `root`. A context manager; one writer per dataset.

    `notes` says what an interrupted recording had left there and what became of it.
    """

    def __init__(self, root: Path, form: Form) -> None:
        library("av")
        library("pyarrow")
        self.root = root
        self.form = form
        self._new = not root.exists()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(
                f"{root}: cannot be made ({error.strerror}); choose another folder"
            ) from None
        self._lock = staging.lock(root)
        try:
            self.notes = staging.recover(root)
            self.load()
            self.notes += [
                f"{key}: the dataset has no such feature, rows are added without it"
                for key in form.flags
                if key not in self.form.flags
            ]
        except BaseException:
            self.close()
            raise

    def begin(self, task: str) -> Episode:
        """Start the next episode. End it with `save` or `discard` before the next."""
        return Episode(self, task)

    def close(self) -> None:
        """Let others write. Safe to call twice; an empty folder that was made here goes."""
        if self._lock < 0:
            return
        if self._new and not any(self.root.iterdir()):
            self.root.rmdir()
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self) -> None:
        """Where the dataset stands, and where the next episode's files go."""
        self.tasks: list[str] = []
        self.stats: dict[str, Stats] = {}
        self.place = (0, 0)
        self.schema: Any = None
        if not any(self.root.iterdir()):
            self.info = new_info(self.form)
            return
        self.info = read_info(self.root)
        known = tuple(key for key in self.form.flags if key in self.info["features"])
        self.form = replace(self.form, flags=known)
        check_compatible(self.root, self.info, self.form)
        self.tasks = tables.read_tasks(self.root / paths.TASKS)
        self.stats = {
            key: {name: np.array(value) for name, value in stats.items()}
            for key, stats in read_json(self.root / paths.STATS).items()
        }
        newest = max(self.root.glob("meta/episodes/*/*.parquet"), default=None)
        if newest is not None:
            table = tables.read(newest)
            self.schema = table.schema.remove_metadata()
            self.place = max(_last_place(row) for row in table.to_pylist())
        # Also past files that some other program left without an entry.
        while newest is not None and self._is_taken():
            self.place = successor(*self.place, self.info["chunks_size"])

    def _is_taken(self) -> bool:
        files = [self.file(paths.DATA), self.file(paths.EPISODES)]
        files += [self.file(paths.VIDEOS, video_key=key) for key in self.form.cameras]
        return any((self.root / file).exists() for file in files)

    def file(self, template: str, **names: str) -> str:
        """Where a file of the next episode goes, from the root."""
        chunk, file = self.place
        return template.format(chunk_index=chunk, file_index=file, **names)


class Episode:
    """One episode while it is recorded. Not thread-safe."""

    def __init__(self, writer: DatasetWriter, task: str) -> None:
        self._writer = writer
        self._task = task
        self.index = int(writer.info["total_episodes"])
        self.length = 0
        self._first = int(writer.info["total_frames"])
        self._stage = staging.Stage(writer.root)
        self._rows: dict[str, list[NDArray[np.float32]]] = {
            key: [] for key in (*writer.form.vectors, *writer.form.flags)
        }
        self._videos: dict[str, VideoFile] = {}
        self._images = {key: ImageStats() for key in writer.form.cameras}
        try:
            for key, (height, width) in writer.form.cameras.items():
                path = self._stage.path(writer.file(paths.VIDEOS, video_key=key))
                self._videos[key] = VideoFile(path, writer.form.fps, height, width)
        except BaseException:
            self.discard()
            raise

    def add(self, vectors: Mapping[str, NDArray[Any]], images: Mapping[str, Image]) -> None:
        """Append one row: every vector (dim,), every flag (1,) and every camera's image."""
        for key, video in self._videos.items():
            video.add(images[key])
            self._images[key].add(images[key])
        for key, values in self._rows.items():
            values.append(np.array(vectors[key], dtype=np.float32))
        self.length += 1

    def save(self, *, success: bool = False) -> int:
        """Make the episode part of the dataset; returns its number. On an error it is lost.

        `success` is kept where the dataset's form is scored.
        """
        try:
            for video in self._videos.values():
                video.close()
            self._describe(success)
            self._stage.commit()
        except BaseException:
            self.discard()
            raise
        self._writer.load()
        return self.index

    def discard(self) -> None:
        """Drop the episode."""
        for video in self._videos.values():
            video.abandon()
        self._stage.discard()

    def _describe(self, success: bool) -> None:
        """Write everything but the videos into the stage."""
        writer, path = self._writer, self._stage.path
        tasks = [*writer.tasks, *([] if self._task in writer.tasks else [self._task])]
        rows: dict[str, NDArray[Any]] = {key: np.stack(v) for key, v in self._rows.items()}
        rows |= tables.index_rows(
            self.index, self._first, self.length, writer.form.fps, tasks.index(self._task)
        )
        if writer.form.scored:
            rows |= tables.score_rows(self.length, success=success)
        stats: dict[str, Stats] = {key: vector_stats(values) for key, values in rows.items()}
        stats |= {key: images.result() for key, images in self._images.items()}
        overall = {
            key: combine([writer.stats[key], values]) if key in writer.stats else values
            for key, values in stats.items()
        }
        tables.write_rows(path(writer.file(paths.DATA)), writer.info["features"], rows)
        tables.write_episode(path(writer.file(paths.EPISODES)), self._row(stats), writer.schema)
        tables.write_tasks(path(paths.TASKS), tasks)
        write_json(path(paths.STATS), overall)
        write_json(path(paths.INFO), self._info(len(tasks)))

    def _row(self, stats: Mapping[str, Stats]) -> dict[str, Any]:
        """The episode as the table of episodes describes it."""
        chunk, file = self._writer.place
        row: dict[str, Any] = {
            "episode_index": self.index,
            "tasks": [self._task],
            "length": self.length,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": self._first,
            "dataset_to_index": self._first + self.length,
        }
        for key in self._videos:
            row[f"videos/{key}/chunk_index"] = chunk
            row[f"videos/{key}/file_index"] = file
            row[f"videos/{key}/from_timestamp"] = 0.0
            row[f"videos/{key}/to_timestamp"] = self.length / self._writer.form.fps
        for key, values in stats.items():
            row |= {f"stats/{key}/{name}": value for name, value in values.items()}
        return row | {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}

    def _info(self, tasks: int) -> dict[str, Any]:
        """The dataset's info file with this episode in it."""
        info = self._writer.info
        features = dict(info["features"])
        for key, video in self._videos.items():
            features[key] = {"info": video.info, **features[key]}
        return info | {
            "total_episodes": self.index + 1,
            "total_frames": self._first + self.length,
            "total_tasks": tasks,
            "splits": {"train": f"0:{self.index + 1}"},
            "features": features,
        }


def _last_place(row: Mapping[str, Any]) -> tuple[int, int]:
    """The highest chunk and file number that any file of an episode has."""
    return max(
        (chunk, row[key.replace("chunk_index", "file_index")])
        for key, chunk in row.items()
        if key.endswith("/chunk_index")
    )
