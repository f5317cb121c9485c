"""Users, passwords and tokens in addresses, taken out of what leaves the program.

Used once at each way out: the command line's messages, the log, answers to requests, the
description of a recording, pages, and more strictly a bundle for a bug report. Inside, an address
is whole, and no message needs to think of it.

Of an address the scheme, host and port are shown. A camera's path and query may be its key, and
nothing tells a word from a token, so they are not; pages of the Hugging Face hub keep their path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HIDDEN = "***"
# One slash is what is left of an address that became a path.
_URL = re.compile(
    r"(?i)(?P<scheme>(?:https?|rtsps?):(?://|/(?!/))|[a-z][a-z0-9+.-]{0,15}://)(?P<rest>\S+)"
)
_BEFORE_PATH = re.compile(r"[/?#]")
# What stands between two slashes may also be a password whose @ was lost.
_AUTHORITY = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]?)(?::(?P<port>[0-9]{1,5}))?")
_PORT_MAX = 65535
# What stands for an address in a remedy.
_PLACEHOLDER = "HOST:PORT/PATH"
_PUBLIC_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
# Behind an address it belongs to the sentence.
_PUNCTUATION = ")]}'\":;,."

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
    """`text` with `***` for the user, password, path and query of every URL in it:
    `rtsp://***@camera:554/***`.
    """
    return _URL.sub(_hide, text) if ":/" in text else text


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


def _hide(match: re.Match[str]) -> str:
    address = match["rest"].rstrip(_PUNCTUATION)
    sentence = match["rest"][len(address) :]
    # Up to the last @: a password that was not percent-encoded may have an @ or a / in it.
    _, at, rest = address.rpartition("@")
    return f"{match['scheme']}{at and f'{_HIDDEN}@'}{_shown(rest)}{sentence}"


def _shown(address: str) -> str:
    """Host and port, and of a public page its path."""
    place = _BEFORE_PATH.split(address, maxsplit=1)[0]
    path = address[len(place) :]
    if address in ("", _PLACEHOLDER):
        return address
    authority = _AUTHORITY.fullmatch(place)
    if authority is None or int(authority["port"] or 0) > _PORT_MAX:
        return _HIDDEN
    if authority["host"].lower() in _PUBLIC_HOSTS:
        page, mark, _ = path.partition("?")
        return f"{place}{page}{mark and f'?{_HIDDEN}'}"
    return f"{place}/{_HIDDEN}" if path.strip("/") else f"{place}{path}"
