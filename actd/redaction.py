"""Users, passwords and tokens in addresses, taken out of what leaves the program.

Used once at each way out: the command line's messages, the log, answers to requests, the
description of a recording, pages, and more strictly a bundle for a bug report. Inside, an address
is whole, and no message needs to think of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HIDDEN = "***"
# Up to the last @: a password that was not percent-encoded may have an @ or a / in it.
_USER = re.compile(r"(?<=://)\S*@")
# The punctuation behind an address belongs to the sentence.
_QUERY = re.compile(r"(?<=://)([^\s?]*)\?(\S*?)(?=[)\]}'\":;,.]*(?:\s|$))")

# For strangers: whatever stands behind a scheme, for where an address is wrong nobody knows which
# part of it is secret; a user and password without a scheme; what a name or a prefix gives away.
_ADDRESS = re.compile(r"(?<=://)\S+?(?=[)\]}'\":;,.]*(?:\s|$))")
_WHOLE_ADDRESS = re.compile(r"\A(\s*[\w+.-]+://).*", re.DOTALL)
_CREDENTIALS = re.compile(r"[^\s\"']+:\S*@")
_WORDS = r"pass(?:word|wd|phrase)?|secret|token|credential|api[_-]?key|private[_-]?key"
_SECRET_NAME = re.compile(rf"(?:^|[_.-])(?:{_WORDS})s?$", re.IGNORECASE)
_SECRET_VALUE = re.compile(rf"(\b[\w.-]*(?:{_WORDS})[\"']?\s*[=:]).+", re.IGNORECASE)
_TOKEN = re.compile(r"\b(?:hf|ghp|gho|github_pat|sk|glpat|xox[bp])[_-][A-Za-z0-9_-]{16,}")


def redact(text: str) -> str:
    """`text` with `***` for the user and password, and for each value in the query, of every
    URL in it: `rtsp://***@camera/live?token=***`.
    """
    if "://" not in text:
        return text
    return _QUERY.sub(_hide_query, _USER.sub(f"{_HIDDEN}@", text))


def redacted(data: Any) -> Any:
    """The same of JSON data: every string in it, however deep."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, Mapping):
        return {key: redacted(value) for key, value in data.items()}
    return [redacted(value) for value in data] if isinstance(data, (list, tuple)) else data


def scrub(text: str) -> str:
    """`text` for strangers: nothing of an address but its scheme, and nothing that looks like a
    secret by its name or its beginning.
    """
    text = _CREDENTIALS.sub(f"{_HIDDEN}@", _ADDRESS.sub(_HIDDEN, text))
    return _TOKEN.sub(_HIDDEN, _SECRET_VALUE.sub(rf"\1 {_HIDDEN}", text))


def scrubbed(data: Any) -> Any:
    """The same of JSON data, however deep: keys, and values that are an address as a whole."""
    if isinstance(data, str):
        return scrub(_WHOLE_ADDRESS.sub(rf"\1{_HIDDEN}", data))
    if isinstance(data, Mapping):
        return {
            scrub(str(key)): _HIDDEN if _SECRET_NAME.search(str(key)) else scrubbed(value)
            for key, value in data.items()
        }
    return [scrubbed(value) for value in data] if isinstance(data, (list, tuple)) else data


def _hide_query(match: re.Match[str]) -> str:
    parts = (part.partition("=") for part in match[2].split("&"))
    hidden = (f"{name}={_HIDDEN}" if equals else _HIDDEN for name, equals, _ in parts)
    return f"{match[1]}?{'&'.join(hidden)}"
