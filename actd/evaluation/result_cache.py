"""Finished episodes of an evaluation on disk, so that it can go on where it ended.

Owns `OUT/episodes/<n>.npz`: the chunks that every engine gave, the frames they answer, and the
settings they were made with. Files made with other settings are named and never mixed in
(UsageError); a file that cannot be read is a RecordingError. A file is there whole or not at all.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.errors import RecordingError, UsageError

_FOLDER = "episodes"
_WAYS_OUT = "give --fresh to start again, or another --out"


@dataclass(frozen=True, slots=True)
class EpisodeRun:
    """One episode: what was recorded, and each engine's chunks.

    `recording` is the fingerprint of what was recorded, `rows` (N,) are the frames that were
    answered, `recorded` (T, joints) the actions of the whole episode, `chunks` per engine
    (N, chunk, joints).
    """

    number: int
    recording: str
    rows: NDArray[np.int64]
    recorded: NDArray[np.float32]
    chunks: Mapping[str, NDArray[np.float32]]


class Kept:
    """The finished episodes in a folder that were made with `settings`.

    Those are plain JSON data; the keys of `engines` in them are the names of all engines.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.folder = out / _FOLDER
        self._settings = settings
        self._labels = tuple(settings["engines"])

    def clear(self) -> None:
        """Forget every finished episode, of whatever settings."""
        for file in _files(self.folder):
            _settings_of(file)  # whatever is not ours is refused, not deleted
            file.unlink()

    def check(self) -> None:
        """Raise UsageError when an episode was made with other settings."""
        for file in _files(self.folder):
            found = _settings_of(file)
            for key, asked in self._settings.items():
                if found.get(key) != asked:
                    was, now = _words(found.get(key)), _words(asked)
                    raise UsageError(f"{file}: made with {key} {was}, now {now}: {_WAYS_OUT}")

    def has(self, number: int, recording: str) -> bool:
        """Whether the episode is finished. Raises UsageError when its recording was another."""
        file = self._file(number)
        if not file.is_file():
            return False
        if str(_arrays(file, ["recording"])[0]) != recording:
            raise UsageError(
                f"{file}: the recording of episode {number} is another now: {_WAYS_OUT}"
            )
        return True

    def read(self, number: int) -> EpisodeRun:
        """A finished episode."""
        file = self._file(number)
        # in the order of whoever wrote it: the same engines may be asked for in another
        labels = list(_settings_of(file)["engines"])
        names = [f"chunks{place}" for place in range(len(labels))]
        recording, rows, recorded, *chunks = _arrays(
            file, ["recording", "rows", "recorded", *names]
        )
        found = dict(zip(labels, chunks, strict=True))
        return EpisodeRun(
            number, str(recording), rows, recorded, {label: found[label] for label in self._labels}
        )

    def write(self, run: EpisodeRun) -> None:
        """Keep a finished episode. Raises UsageError when it cannot be written."""
        labels = self._settings["engines"]
        chunks = {f"chunks{place}": run.chunks[label] for place, label in enumerate(labels)}
        arrays: dict[str, Any] = {
            "recording": np.array(run.recording),
            "rows": run.rows,
            "recorded": run.recorded,
            **chunks,
        }
        part = self._file(run.number).with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                np.savez(stream, settings=np.array(json.dumps(self._settings)), **arrays)
            part.replace(self._file(run.number))
        except OSError as error:
            raise UsageError(
                f"{part}: cannot be written ({error.strerror}): choose another --out"
            ) from None

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.npz"


def cached_stride(out: Path) -> int | None:
    """The stride that finished episodes in `out` were made with, None without any."""
    file = next(iter(_files(out / _FOLDER)), None)
    return None if file is None else _settings_of(file).get("stride")


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.npz") if file.stem.isdecimal())


def _settings_of(file: Path) -> dict[str, Any]:
    (text,) = _arrays(file, ["settings"])
    try:
        settings = json.loads(str(text))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise RecordingError(f"{file}: settings: not readable: delete the file")
    return settings


def _arrays(file: Path, names: list[str]) -> list[NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return [stored[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecordingError(
            f"{file}: not an episode of an evaluation ({reason}): delete the file, or choose "
            "another --out"
        ) from None


def _words(value: Any) -> str:
    """A setting in a message: names, and enough of a hash to tell it from another."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items()) or "none"
    return value[:8] if isinstance(value, str) and len(value) == 64 else str(value)
