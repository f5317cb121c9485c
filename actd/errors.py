"""The errors a user sees: one line that says what was found and what to do.

The command line prints `str(error)` and exits with `exit_code`: 2 where the command line or a file
that it names is wrong, 78 where the deployment file is, 1 where something was tried and failed.
"""

from __future__ import annotations

import errno

SEPARATOR = " | "
"""Between several problems on one line: each of them may have a remedy behind its semicolon."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def one_line(error: BaseException) -> str:
    """What another's error says, in a line."""
    return " ".join(str(error).split()) or type(error).__name__


def brief(error: BaseException, most: int = 200) -> str:
    """As `one_line`, and where that is long only its first sentences, whole."""
    text = one_line(error)
    if len(text) <= most:
        return text
    end = max(text.rfind(stop, 0, most) for stop in (". ", "; ", "! ", "? "))
    return text[:end] if end > 0 else f"{text[:most].rpartition(' ')[0]} ..."


class ActdError(Exception):
    """Something failed that the user can mend. The message names file, key, found, and remedy."""

    exit_code = 1


class UsageError(ActdError):
    """The command was called wrongly."""

    exit_code = 2


def unwritable(path: object, error: OSError, remedy: str = "choose another --out") -> ActdError:
    """Of a file that could not be written: the place is wrong, or the disk is."""
    text = f"{path}: cannot be written ({error.strerror or error}); "
    if error.errno in _DISK:
        return ActdError(f"{text}free some space, or {remedy}")
    return UsageError(f"{text}{remedy}")


class ConfigError(ActdError):
    """A deployment file is wrong (exit 78, EX_CONFIG: systemd must not retry it)."""

    exit_code = 78


class CheckpointError(ActdError):
    """A checkpoint is missing, truncated, or of a kind that cannot be supported."""

    exit_code = 2


class EngineError(ActdError):
    """An engine cannot be built, loaded or trusted."""


class EngineInputError(EngineError):
    """What an engine is made of or given is missing, damaged or does not fit: its folder, a recipe,
    frames, observations.
    """

    exit_code = 2


class RecordingError(ActdError):
    """A recording is missing, damaged, or does not fit what it is asked for."""

    exit_code = 2


class CameraError(ActdError):
    """A camera cannot be opened or has stopped delivering."""


class ArmError(ActdError):
    """The robot's driver failed, or cannot be used as it is."""


class LinkError(ActdError):
    """The wire failed: a port in use, no daemon answering, a message that is not ours."""
