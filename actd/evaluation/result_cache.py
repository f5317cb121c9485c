"""Finished episodes of an evaluation on disk, so that an interrupted one can resume.

Owns `OUT/episodes/<n>.npz`: the chunks of every engine, their frames, and the settings they were
computed with. Files of other settings are named and never mixed in (UsageError); a file that cannot
be read is a RecordingError. Files are written atomically.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.engine.observations import UNREADABLE
from actd.errors import RecordingError, UsageError, one_line, unwritable
from actd.files import check_file, parse_json

_FOLDER = "episodes"
_REMEDY = "give --fresh to start again, or another --out"


@dataclass(frozen=True, slots=True)
class EpisodeRun:
    """One episode: its recorded actions, and each engine's chunks.

    `fingerprint` identifies the recording, `rows` (N,) are the evaluated frames, `actions`
    (T, joints) the recorded actions of the whole episode, `chunks` per engine (N, chunk, joints).
    """

    number: int
    fingerprint: str
    rows: NDArray[np.int64]
    actions: NDArray[np.float32]
    chunks: Mapping[str, NDArray[np.float32]]


class ResultCache:
    """The finished episodes in a folder that were computed with `settings`.

    `settings` is plain JSON data; the keys of its `engines` are the names of all engines.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.folder = out / _FOLDER
        self._settings = settings
        self._labels = tuple(settings["engines"])

    def clear(self) -> None:
        """Delete every finished episode, whatever its settings."""
        for file in _files(self.folder):
            _settings_of(file)  # raises for a foreign file, which must not be deleted
            file.unlink()

    def check(self) -> None:
        """Raise UsageError when an episode was computed with other settings."""
        for file in _files(self.folder):
            settings = _settings_of(file)
            for key, value in self._settings.items():
                if settings.get(key) != value:
                    before, now = _format(settings.get(key)), _format(value)
                    raise UsageError(f"{file}: computed with {key} {before}, now {now}; {_REMEDY}")

    def has(self, number: int, fingerprint: str) -> bool:
        """Whether the episode is finished. Raises UsageError if its recording has changed."""
        file = self._file(number)
        if not file.is_file():
            return False
        if str(_arrays(file, ["recording"])[0]) != fingerprint:
            raise UsageError(f"{file}: episode {number} of the dataset has changed; {_REMEDY}")
        return True

    def read(self, number: int) -> EpisodeRun:
        """A finished episode."""
        file = self._file(number)
        # in the order of the run that wrote it, which may differ from this run's
        labels = list(_settings_of(file)["engines"])
        names = [f"chunks{place}" for place in range(len(labels))]
        fingerprint, rows, actions, *chunks = _arrays(
            file, ["recording", "rows", "recorded", *names]
        )
        by_label = dict(zip(labels, chunks, strict=True))
        return EpisodeRun(
            number,
            str(fingerprint),
            rows,
            actions,
            {label: by_label[label] for label in self._labels},
        )

    def write(self, run: EpisodeRun) -> None:
        """Store a finished episode. Raises UsageError, or ActdError where the disk is full."""
        labels = self._settings["engines"]
        chunks = {f"chunks{place}": run.chunks[label] for place, label in enumerate(labels)}
        arrays: dict[str, Any] = {
            "recording": np.array(run.fingerprint),
            "rows": run.rows,
            "recorded": run.actions,
            **chunks,
        }
        part = self._file(run.number).with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                np.savez(stream, settings=np.array(json.dumps(self._settings)), **arrays)
            part.replace(self._file(run.number))
        except OSError as error:
            raise unwritable(part, error) from None

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.npz"


def cached_stride(out: Path) -> int | None:
    """The stride of the finished episodes in `out`, None without any."""
    file = next(iter(_files(out / _FOLDER)), None)
    return None if file is None else _settings_of(file).get("stride")


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.npz") if file.stem.isdecimal())


def _settings_of(file: Path) -> dict[str, Any]:
    (text,) = _arrays(file, ["settings"])
    try:
        settings = parse_json(str(text))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise RecordingError(f"{file}: settings: not readable; delete the file")
    return settings


def _arrays(file: Path, names: list[str]) -> list[NDArray[Any]]:
    try:
        check_file(file)
        with np.load(file, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (*UNREADABLE, KeyError) as error:
        reason = one_line(error)
        raise RecordingError(
            f"{file}: not an episode of an evaluation ({reason}); delete the file, or choose "
            "another --out"
        ) from None


def _format(value: Any) -> str:
    """A setting as text for a message; hashes are shortened."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_format(part)}" for name, part in value.items()) or "none"
    return value[:8] if isinstance(value, str) and len(value) == 64 else str(value)
