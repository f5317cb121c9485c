"""Settings of this computer that help, and putting back exactly what was there.

What is changed lives as long as the computer is not started again, and so does the record of what
was there: `/run/actd-tuned.json`. It is written before anything is changed. Raises UsageError
without root, ActdError where the kernel refuses a value; then everything is as it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from actd.doctor.checks.computer import DEEP_US, SWAPPINESS
from actd.errors import ActdError, UsageError
from actd.files import read_json

RECORD = Path("run/actd-tuned.json")

_CPU = Path("sys/devices/system/cpu")
_PROFILE = Path("sys/firmware/acpi/platform_profile")
_SWAPPINESS = Path("proc/sys/vm/swappiness")
_RT_RUNTIME = Path("proc/sys/kernel/sched_rt_runtime_us")
_PERFORMANCE = "performance"
_USUAL_RT_RUNTIME = "950000"


@dataclass(frozen=True, slots=True)
class Change:
    """One file under /proc or /sys, without the leading slash: what is there, what shall be."""

    path: str
    before: str
    after: str
    why: str

    def __str__(self) -> str:
        return f"/{self.path}: {self.before} -> {self.after} ({self.why})"


def changes(root: Path = Path("/")) -> list[Change]:
    """Everything that would help here and is not so yet."""
    helpful = (*_governors(root), *_idle_states(root), *_profile(root), *_kernel(root))
    return [change for change in helpful if change.before != change.after]


def apply(changes: list[Change], root: Path = Path("/")) -> None:
    """Make the changes. What was there before the first of them stays on record."""
    _require_root(root, [change.path for change in changes])
    before = {change.path: change.before for change in changes} | recorded(root)
    _write_record(root, before)
    done: list[Change] = []
    for change in changes:
        try:
            (root / change.path).write_text(change.after)
        except OSError as error:
            _undo(root, done, before)
            raise ActdError(
                f"/{change.path}: does not take {change.after} ({error.strerror}); nothing was "
                "changed, and this computer has to be set up by other means"
            ) from None
        done.append(change)


def recorded(root: Path = Path("/")) -> dict[str, str]:
    """What was there before actd changed it, by path. Raises ActdError for a damaged record."""
    try:
        data = read_json(root / RECORD)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise UsageError(
            f"/{RECORD}: must not be read by this user; run it again with sudo $(which actd)"
        ) from None
    except (OSError, ValueError) as error:
        raise ActdError(_damaged(str(error))) from None
    if not isinstance(data, dict) or not all(map(_is_setting, data.items())):
        raise ActdError(_damaged("it is not a map of settings"))
    return data


def restorations(root: Path = Path("/")) -> list[Change]:
    """What `restore` would write."""
    return [
        Change(path, now, before, "as it was")
        for path, before in recorded(root).items()
        if (now := _read(root / path)) is not None and now != before
    ]


def restore(root: Path = Path("/")) -> None:
    """Put back everything that is on record, and forget it."""
    back = restorations(root)
    _require_root(root, [change.path for change in back])
    refused = []
    for change in back:
        try:
            (root / change.path).write_text(change.after)
        except OSError as error:
            refused.append(f"/{change.path}: does not take {change.after} ({error.strerror})")
    if refused:
        raise ActdError(
            f"{', '.join(refused)}; the rest is as it was; start the computer again to undo it"
        )
    (root / RECORD).unlink(missing_ok=True)


def _governors(root: Path) -> Iterator[Change]:
    for file in sorted((root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_governor")):
        choices = _read(file.with_name("scaling_available_governors")) or ""
        if _PERFORMANCE in choices.split():
            yield from _change(root, file, _PERFORMANCE, "full frequency at once")


def _idle_states(root: Path) -> Iterator[Change]:
    for file in sorted((root / _CPU).glob("cpu[0-9]*/cpuidle/state[0-9]*/disable")):
        exit_us = _read(file.with_name("latency")) or ""
        if exit_us.isdecimal() and int(exit_us) > DEEP_US:
            yield from _change(root, file, "1", f"no sleep of {exit_us} us to wake from")


def _profile(root: Path) -> Iterator[Change]:
    file = root / _PROFILE
    choices = _read(file.with_name("platform_profile_choices")) or ""
    if _PERFORMANCE in choices.split():
        yield from _change(root, file, _PERFORMANCE, "the firmware does not slow it")


def _kernel(root: Path) -> Iterator[Change]:
    swaps = (_read(root / "proc/swaps") or "").splitlines()[1:]
    swappiness = _read(root / _SWAPPINESS) or ""
    if swaps and swappiness.isdecimal() and int(swappiness) > SWAPPINESS:
        why = "memory stays in memory"
        yield from _change(root, root / _SWAPPINESS, str(SWAPPINESS), why)
    if _read(root / _RT_RUNTIME) == "0":
        why = "real-time threads may run"
        yield from _change(root, root / _RT_RUNTIME, _USUAL_RT_RUNTIME, why)


def _change(root: Path, file: Path, after: str, why: str) -> Iterator[Change]:
    before = _read(file)
    if before is not None:
        yield Change(str(file.relative_to(root)), before, after, why)


def _require_root(root: Path, paths: list[str]) -> None:
    locked = [path for path in paths if not os.access(root / path, os.W_OK, effective_ids=True)]
    if locked:
        raise UsageError(
            f"/{locked[0]}: must not be written by this user; run it again with sudo $(which actd)"
        )


def _undo(root: Path, done: list[Change], before: Mapping[str, str]) -> None:
    for change in done:
        with suppress(OSError):
            (root / change.path).write_text(change.before)
    left = {path: text for path, text in before.items() if _read(root / path) != text}
    if left:
        _write_record(root, left)
    else:
        (root / RECORD).unlink(missing_ok=True)


def _write_record(root: Path, before: Mapping[str, str]) -> None:
    record = root / RECORD
    draft = record.with_name(f"{record.name}.{os.getpid()}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(before, indent=2) + "\n")
        draft.replace(record)
    except OSError as error:
        raise UsageError(
            f"/{RECORD}: cannot be written ({error.strerror}), and without it nothing could be "
            "put back; run it again with sudo $(which actd)"
        ) from None


def _is_setting(item: tuple[object, object]) -> bool:
    """Whether a line of the record is of a file that this module changes: root writes it back."""
    path, text = item
    known = isinstance(path, str) and ".." not in path.split("/")
    return known and isinstance(text, str) and str(path).startswith(("proc/sys/", "sys/"))


def _damaged(why: str) -> str:
    return f"/{RECORD}: damaged ({why}); start the computer again, which undoes every setting"


def _read(file: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text().strip()
    return None
