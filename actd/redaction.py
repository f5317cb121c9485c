"""Users, passwords and tokens in addresses, taken out of what leaves the program.

Used once at each way out: the command line's messages, the log, answers to requests, the
description of a recording, pages. Inside, an address is whole, and no message needs to think of it.
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


def _hide_query(match: re.Match[str]) -> str:
    parts = (part.partition("=") for part in match[2].split("&"))
    hidden = (f"{name}={_HIDDEN}" if equals else _HIDDEN for name, equals, _ in parts)
    return f"{match[1]}?{'&'.join(hidden)}"
