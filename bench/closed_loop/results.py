"""Results on disk: a JSON file per cell, which grows place by place and is never run again.

A folder belongs to one policy. What is on disk names the machine, the versions, the commit and the
engine of its last writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from actd.errors import ActdError
from bench.closed_loop.cells import Cell
from bench.closed_loop.lockstep import Attempt

_KEPT = ("cpu", "cpu_flags", "cores", "kernel", "python", "versions", "git", "utc")


@dataclass(slots=True)
class Result:
    """The attempts of a cell, at consecutive places. `policy`: the identity of its weights."""

    cell: Cell
    policy: str
    machine: Mapping[str, Any]
    attempts: list[Attempt] = field(default_factory=list)


class Results:
    """The results of one policy in a folder, all from place `first` on."""

    def __init__(
        self, folder: Path, policy: str, machine: Mapping[str, Any], first: int = 0
    ) -> None:
        """Raises ActdError where nothing can be written there."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ActdError(f"--out {folder}: cannot be created: {error.strerror}") from None
        self._folder = folder
        self._policy = policy
        self.first = first
        self._machine = {key: machine[key] for key in _KEPT if key in machine}

    def of(self, cell: Cell) -> Result:
        """What there is of a cell. Raises ActdError where it is another policy's or at other
        places.
        """
        path = self._path(cell)
        if not path.is_file():
            return Result(cell, self._policy, self._machine)
        result = read(path)
        if result.policy != self._policy:
            raise ActdError(
                f"--out {self._folder}: {path.name} is of policy {result.policy[:12]}, not of "
                f"{self._policy[:12]}; give another folder"
            )
        if result.attempts and result.attempts[0].place != self.first:
            raise ActdError(
                f"--out {self._folder}: {path.name} begins at place {result.attempts[0].place}, "
                f"not at {self.first}; give another folder"
            )
        return result

    def write(self, result: Result) -> None:
        """Replace a cell's file, whole."""
        attempts = [json.dumps(asdict(attempt)) for attempt in result.attempts]
        head = {"policy": self._policy, "machine": self._machine, "cell": asdict(result.cell)}
        text = json.dumps(head, indent=1)[:-2] + ',\n "attempts": [\n  '
        path = self._path(result.cell)
        new = path.with_suffix(".new")
        new.write_text(text + ",\n  ".join(attempts) + "\n ]\n}\n")
        new.replace(path)

    def _path(self, cell: Cell) -> Path:
        return self._folder / f"{cell.name}.json"


def read(path: Path) -> Result:
    """One file. Raises ActdError where it is not one of ours."""
    try:
        data = json.loads(path.read_text())
        attempts = [Attempt(**attempt) for attempt in data["attempts"]]
        return Result(Cell(**data["cell"]), data["policy"], data["machine"], attempts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ActdError(f"{path}: no result of this bench ({error}); remove it") from None


def read_all(folder: Path) -> Iterator[Result]:
    """Every result in a folder, by name."""
    for path in sorted(folder.glob("*.json")):
        yield read(path)
