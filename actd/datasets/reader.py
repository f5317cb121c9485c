"""Reading a LeRobotDataset of v2.0, v2.1 or v3.0 from a folder.

Gives numbers as numpy arrays and images as uint8 RGB, episode by episode, never more of
it in memory than asked for. Everything that is missing or damaged is a RecordingError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.datasets import paths, tables
from actd.datasets.paths import Image, library, names_of, read_info
from actd.datasets.video import VideoTrack
from actd.element_names import unfit_names
from actd.errors import RecordingError
from actd.files import parse_json, read_text


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where one episode is kept; `videos`: camera -> file and the second it begins at."""

    length: int
    data: Path
    videos: Mapping[str, tuple[Path, float]]


def open_dataset(path: str | Path) -> Dataset:
    """The dataset in a folder. Raises RecordingError."""
    root = Path(path)
    info = read_info(root)
    library("pyarrow")
    listing = _entries_v30 if info["codebase_version"] == paths.V30 else _entries_v21
    cameras = _cameras(info["features"])
    try:
        entries = dict(listing(root, info, cameras))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RecordingError(
            f"{root}/meta: the list of episodes lacks {error}; fetch the dataset again"
        ) from None
    return Dataset(root, info, cameras, entries)


class Dataset:
    """One dataset, opened. Make it with `open_dataset`."""

    def __init__(
        self,
        root: Path,
        info: Mapping[str, Any],
        cameras: Sequence[str],
        entries: Mapping[int, _Entry],
    ) -> None:
        self.root = root
        self.fps: float = info["fps"]
        robot_type = info.get("robot_type")
        self.robot_type = robot_type if isinstance(robot_type, str) and robot_type else None
        self.features: dict[str, dict[str, Any]] = info["features"]
        """Feature key -> its description: dtype, shape, names."""
        self.cameras = tuple(cameras)
        """Feature keys of the colour cameras. Depth is left out."""
        self.episodes: list[int] = sorted(entries)
        self._entries = entries

    def names(self, key: str) -> list[str]:
        """Names of a vector feature's elements."""
        return names_of(self._feature(key))

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the description of its vectors is not used, a sentence each."""
        complaints = ((key, unfit_names(self.features[key])) for key in self._numeric())
        return tuple(f"{self.root}: {key}: {words}" for key, words in complaints if words)

    def length(self, episode: int) -> int:
        """Rows in an episode."""
        return self._entry(episode).length

    def actions(self, episode: int) -> NDArray[np.float32]:
        """Recorded actions, (rows, dim)."""
        return self.vectors(episode, paths.ACTION)

    def states(self, episode: int) -> NDArray[np.float32]:
        """Recorded robot states, (rows, dim)."""
        return self.vectors(episode, paths.STATE)

    def vectors(self, episode: int, key: str) -> NDArray[np.float32]:
        """One numeric feature, (rows, dim)."""
        return self.columns(episode, [key])[key]

    def columns(self, episode: int, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Several numeric features, (rows, dim) each, in one reading."""
        for key in keys:
            self._feature(key)
        table = self._rows(episode, keys)
        return {key: self._vectors(table, key, episode) for key in keys}

    def fingerprint(self, episode: int) -> str:
        """A SHA-256 of every number recorded in an episode; of images kept as video, none."""
        keys = self._numeric()
        table = self._rows(episode, keys)
        digest = hashlib.sha256()
        for key in keys:
            values = self._vectors(table, key, episode)
            digest.update(f"{key} {values.shape}".encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def frames(
        self, episode: int, rows: Sequence[int] | None = None
    ) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Rows of an episode in order (all, or those numbered in `rows`).

        Keys are the feature keys: an image per camera (uint8 RGB), the float vectors (dim,)
        and `timestamp` (1,), in seconds.
        """
        entry = self._entry(episode)
        numbers = range(entry.length) if rows is None else rows
        numeric = self._numeric()
        images = [key for key in self.cameras if key not in entry.videos]
        table = self._rows(episode, [*numeric, *images])
        vectors = {key: self._vectors(table, key, episode) for key in numeric}
        with ExitStack() as stack:
            tracks = {
                key: stack.enter_context(closing(VideoTrack(path, self.fps, from_s)))
                for key, (path, from_s) in entry.videos.items()
            }
            for row in numbers:
                t_s = float(vectors["timestamp"][row, 0])
                yield {
                    **{key: track.at(t_s) for key, track in tracks.items()},
                    **{key: _decoded(entry.data, table[key][row].as_py()) for key in images},
                    **{key: values[row] for key, values in vectors.items()},
                }

    def _numeric(self) -> list[str]:
        """Keys of the float vectors."""
        return [
            key
            for key, feature in self.features.items()
            if feature["dtype"] in ("float32", "float64") and len(feature["shape"]) == 1
        ]

    def _vectors(self, table: Any, key: str, episode: int) -> NDArray[np.float32]:
        values = tables.vectors(table, key).astype(np.float32)
        size = self.features[key]["shape"]
        if [values.shape[1]] != size:
            raise RecordingError(
                f"{self._entry(episode).data}: {key}: {values.shape[1]} values a row, shape says "
                f"{size}; fetch the dataset again"
            )
        return values

    def _feature(self, key: str) -> dict[str, Any]:
        if key not in self.features:
            raise RecordingError(
                f"{self.root}: {key}: no such feature, the dataset has {', '.join(self.features)}"
            )
        return self.features[key]

    def _entry(self, episode: int) -> _Entry:
        if episode not in self._entries:
            held = f"{self.episodes[0]} to {self.episodes[-1]}" if self.episodes else "none"
            raise RecordingError(f"{self.root}: no episode {episode}: the dataset has {held}")
        return self._entries[episode]

    def _rows(self, episode: int, columns: Sequence[str]) -> Any:
        entry = self._entry(episode)
        table = tables.read(entry.data, [*columns, "frame_index"], episode)
        missing = [key for key in columns if key not in table.column_names]
        if missing:
            raise RecordingError(
                f"{entry.data}: {missing[0]}: no such column; fetch the dataset again"
            )
        if len(table) != entry.length:
            raise RecordingError(
                f"{entry.data}: episode {episode}: found {len(table)} rows of {entry.length}; "
                "fetch the dataset again"
            )
        return table.take(np.argsort(tables.vectors(table, "frame_index")[:, 0], kind="stable"))


def _cameras(features: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        key
        for key, feature in features.items()
        if feature["dtype"] in ("video", "image")
        and not any(
            (feature.get(part) or {}).get(key)
            for part in ("info", "video_info")
            for key in ("is_depth_map", "video.is_depth_map")
        )
    ]


def _entries_v30(
    root: Path, info: Mapping[str, Any], cameras: Sequence[str]
) -> Iterator[tuple[int, _Entry]]:
    videos = [key for key in cameras if info["features"][key]["dtype"] == "video"]
    columns = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    parts = ("chunk_index", "file_index", "from_timestamp")
    columns += [f"videos/{key}/{part}" for key in videos for part in parts]
    for file in sorted(root.glob("meta/episodes/*/*.parquet")):
        for row in tables.read(file, columns).to_pylist():
            tracks = {}
            for key in videos:
                chunk, number, from_s = (row[f"videos/{key}/{part}"] for part in parts)
                path = info["video_path"].format(
                    video_key=key, chunk_index=chunk, file_index=number
                )
                tracks[key] = (root / path, float(from_s))
            data = info["data_path"].format(
                chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
            )
            index, length = row["episode_index"], row["length"]
            if index is None or length is None:
                raise LookupError("an episode_index or a length")
            yield int(index), _Entry(int(length), root / data, tracks)


def _entries_v21(
    root: Path, info: Mapping[str, Any], cameras: Sequence[str]
) -> Iterator[tuple[int, _Entry]]:
    videos = [key for key in cameras if info["features"][key]["dtype"] == "video"]
    path = root / "meta/episodes.jsonl"
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise RecordingError(f"{path}: not readable ({error.strerror}); fetch it again") from None
    for line in filter(str.strip, lines):
        row = parse_json(line)
        number = int(row["episode_index"])
        at = {"episode_chunk": number // info["chunks_size"], "episode_index": number}
        tracks = {
            key: (root / info["video_path"].format(video_key=key, **at), 0.0) for key in videos
        }
        yield number, _Entry(int(row["length"]), root / info["data_path"].format(**at), tracks)


def _decoded(source: Path, image: Mapping[str, Any]) -> Image:
    """An image that is kept inside the table, as a file's bytes."""
    import cv2

    bgr: Any = None
    if image.get("bytes"):
        bgr = cv2.imdecode(np.frombuffer(image["bytes"], np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise RecordingError(f"{source}: holds an image that cannot be decoded; fetch it again")
    pixels: Image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return pixels
