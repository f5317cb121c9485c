"""A file for a bug report: configuration, versions, findings, logs, crashes and the last flight.

    report.json       the findings, this computer, every installed package
    actd.json         the deployment file without its comments; where it is not YAML, nothing
    manifest.json     the engine's
    crashes/*.txt     what actd did not foresee
    log.txt           the end of the service's journal
    flight/           the newest run, its newest segments

No image, no weights. Every text passes `redaction.scrub` on its way in: no password, token or
address leaves with it. Readable by its owner only. Raises UsageError.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from actd import host
from actd.config.reading import parse
from actd.doctor.facts import Deployment, Facts
from actd.doctor.finding import Row
from actd.engine.manifest import MANIFEST
from actd.errors import ConfigError, UsageError, unwritable
from actd.files import open_file, parse_json, read_text
from actd.flightlog.reader import RUN_FILE, segment_files
from actd.folders import state_folder
from actd.redaction import scrub, scrubbed
from actd.runtime.clock import unix_s

SUFFIX = ".tar.gz"
SERVICE_STATES = Path("/var/lib")
FLIGHT_MB = 64
"""The newest segments of the newest run, so much of them."""

_CRASHES = 20
_LOG_LINES = 2000
_LOG_S = 10.0
_CAMERAS = "cameras"
_LEFT_OUT = "left out, it has mistakes"


class Member(NamedTuple):
    """One file of the bundle."""

    name: str
    data: bytes


def write_bundle(file: Path, facts: Facts, rows: Sequence[Row]) -> list[str]:
    """Write the bundle and return the names of what is in it. Never overwrites a file."""
    check_name(file)
    members = list(_members(facts, rows))
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(file, error, "choose another") from None
    folder = file.name.removesuffix(SUFFIX)
    try:
        with open(number, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
            for member in members:
                entry = tarfile.TarInfo(f"{folder}/{member.name}")
                entry.size, entry.mode, entry.mtime = len(member.data), 0o600, int(unix_s())
                archive.addfile(entry, io.BytesIO(member.data))
    except OSError as error:
        file.unlink(missing_ok=True)
        raise unwritable(file, error, "choose another") from None
    return [member.name for member in members]


def check_name(file: Path) -> None:
    """Raise UsageError for what `write_bundle` will not write, before minutes are spent."""
    if not file.name.endswith(SUFFIX):
        raise UsageError(f"--bundle: found {file.name}; give a name that ends in {SUFFIX}")
    try:
        exists, has_folder = file.exists(), file.absolute().parent.is_dir()
    except OSError as error:
        raise unwritable(file, error, "choose another") from None
    if exists:
        raise UsageError(f"{file}: exists already; choose another name")
    if not has_folder:
        raise UsageError(f"{file}: its folder does not exist; choose another")


def _members(facts: Facts, rows: Sequence[Row]) -> Iterator[Member]:
    yield _json(
        "report.json",
        {
            "checks": [_check(row, facts.deployment) for row in rows],
            "machine": host.machine(),
            "packages": _packages(),
        },
    )
    deployment = facts.deployment
    if deployment is not None:
        with suppress(ConfigError, RecursionError):  # what is wrong is among the findings
            yield _json("actd.json", _settings(deployment))
    config = deployment.config if deployment is not None else None
    if config is not None:
        with suppress(OSError, ValueError):
            yield _json(MANIFEST, parse_json(read_text(config.engine / MANIFEST)))
    yield from _crashes()
    if journal := _journal():
        yield _text("log.txt", journal)
    given = None if config is None else config.flight.folder
    yield from _flight([given] if given else [state / "flights" for state in _states()])


def _states() -> list[Path]:
    """Where this user's daemons keep their state, and where services do."""
    with suppress(RuntimeError):  # a user without a home
        return [state_folder(), *sorted(SERVICE_STATES.glob("actd*"))]
    return sorted(SERVICE_STATES.glob("actd*"))


def _settings(deployment: Deployment) -> dict[str, Any]:
    """The deployment file. Where it has mistakes, a key of a camera may be a part of an address."""
    data = dict(parse(Path(deployment.path)))
    if deployment.config is None and _CAMERAS in data:
        data[_CAMERAS] = _LEFT_OUT
    return data


def _check(row: Row, deployment: Deployment | None) -> dict[str, str | None]:
    """A finding; what is wrong with cameras may name that key."""
    data = row.to_dict()
    if deployment is not None and deployment.errors and _CAMERAS in row.finding.found:
        data["found"] = f"{_CAMERAS}: {_LEFT_OUT}"
    return data


def _crashes() -> Iterator[Member]:
    """The newest files of tracebacks."""
    with suppress(OSError):
        files = [file for state in _states() for file in (state / "crashes").glob("*.txt")]
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)[-_CRASHES:]:
            with suppress(OSError, ValueError):
                yield _text(f"crashes/{file.name}", read_text(file, errors="replace"))


def _journal() -> str:
    """The end of the service's log, "" where there is none or we may not read it."""
    command = ["journalctl", "--unit", "actd*", "--lines", str(_LOG_LINES), "--no-pager", "--quiet"]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_LOG_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def _flight(folders: Sequence[Path]) -> Iterator[Member]:
    """The newest run: its description, and its newest segments."""
    with suppress(OSError):
        runs = [path.parent for folder in folders for path in folder.glob(f"*/{RUN_FILE}")]
        runs.sort(key=lambda run: run.name)  # which begins with the time
        if not runs:
            return
        with suppress(ValueError):
            yield _json(f"flight/{RUN_FILE}", parse_json(read_text(runs[-1] / RUN_FILE)))
        left = FLIGHT_MB * 2**20
        for segment in reversed(segment_files(runs[-1])):
            left -= segment.path.stat().st_size
            if left < 0:
                return
            with open_file(segment.path) as file:
                yield Member(f"flight/{segment.path.name}", file.read())


def _packages() -> dict[str, str]:
    versions = {}
    for package in metadata.distributions():
        with suppress(KeyError, TypeError):  # one that is broken has no name
            versions[str(package.metadata["Name"])] = package.version
    return dict(sorted(versions.items()))


def _json(name: str, data: Any) -> Member:
    # YAML has values that JSON has not, such as dates.
    text = json.dumps(scrubbed(data), indent=2, default=lambda value: scrubbed(str(value)))
    return Member(name, f"{text}\n".encode())


def _text(name: str, text: str) -> Member:
    return Member(name, scrub(text).encode(errors="backslashreplace"))
