"""The changes that are made to a computer, as data. Each says what it does and can do it.

`apply` raises ActdError for what the system refuses; every change may be applied again.
"""

from __future__ import annotations

import difflib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from actd.errors import ActdError

_COMMAND_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Write:
    """A file that everyone may read. `before` is its text today, None where there is none."""

    path: Path
    text: str
    before: str | None = None

    def __str__(self) -> str:
        return f"{'write' if self.before is None else 'replace'} {self.path}"

    def details(self) -> Iterator[str]:
        """What changes in the file, line by line."""
        before = (self.before or "").splitlines()
        for line in difflib.unified_diff(before, self.text.splitlines(), n=1, lineterm=""):
            if not line.startswith(("---", "+++", "@@")):
                yield line

    def apply(self) -> None:
        """At once or not at all: systemd may read the file at any moment."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}.new")
        new.write_text(self.text)
        new.chmod(0o644)
        new.replace(self.path)


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """A folder that everyone may read."""

    path: Path

    def __str__(self) -> str:
        return f"make {self.path}/"

    def details(self) -> Iterable[str]:
        """Nothing more to say."""
        return ()

    def apply(self) -> None:
        """Parents too."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class Remove:
    """A file, or a folder with all that is in it."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"

    def details(self) -> Iterable[str]:
        """Nothing more to say."""
        return ()

    def apply(self) -> None:
        """What is gone already is fine."""
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Run:
    """A command of the system."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"run {' '.join(self.words)}"

    def details(self) -> Iterable[str]:
        """Nothing more to say."""
        return ()

    def apply(self) -> None:
        """Its output is shown only where it fails."""
        try:
            done = subprocess.run(
                self.words,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=_COMMAND_LIMIT_S,
                check=False,
            )
        except FileNotFoundError:
            raise ActdError(f"{self.words[0]}: no such command; install it and repeat") from None
        except subprocess.TimeoutExpired:
            raise ActdError(
                f"{self}: no end after {_COMMAND_LIMIT_S:.0f} s; see journalctl -b and repeat"
            ) from None
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split()) or f"exit {done.returncode}"
            raise ActdError(f"{self}: {said}; mend that and repeat")


Change = Write | MakeFolder | Remove | Run


def apply(changes: Iterable[Change]) -> None:
    """Make the changes in order. Raises ActdError at the first that fails; repeat to go on."""
    for change in changes:
        try:
            change.apply()
        except OSError as error:
            raise ActdError(f"{change}: {error.strerror}; mend that and repeat") from None
