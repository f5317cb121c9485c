"""Addresses of network cameras: which can be read in one way only, and whether a host answers.

No message of `check_url` has anything of the URL in it: which part is the password is what is
not known.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from actd.errors import CameraError

URL_SCHEMES = ("http", "https", "rtsp", "rtsps")

# White space, the beginning of a fragment, which no server is sent, and a % that encodes nothing.
_NOT_IN_A_URL = re.compile(r"\s|#|%(?![0-9A-Fa-f]{2})")


def check_url(text: str) -> None:
    """Raise ValueError for a URL that is of no camera, or that can be read in two ways or not at
    all. What is no URL passes, unless it was meant to be one.
    """
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() not in URL_SCHEMES:
        raise ValueError(f"{scheme}:// is not supported; use one of {_schemes()}")
    if separator:
        _check_address(scheme, rest)
    elif text.startswith("//") or ":" in text.partition("/")[0]:
        raise ValueError(
            f"not a URL: begin it with one of {_schemes()}; or, for a file with a colon in its "
            "name, with ./"
        )


def reach_host(label: str, host: str, port: int, timeout_s: float) -> None:
    """Raise CameraError with the reason when nothing takes a connection there.

    FFmpeg gives no reason when it cannot connect, and ZeroMQ waits for ever; the socket does.
    """
    try:
        socket.create_connection((host, port), timeout_s).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: what can be no host's name
        reason = getattr(error, "strerror", None) or str(error)
        raise CameraError(
            f"{label}: cannot reach {host} port {port} ({reason}); start the camera's server, or "
            "correct its address"
        ) from None


def _check_address(scheme: str, rest: str) -> None:
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if rest.count("@") > min(1, authority.count("@")) or _NOT_IN_A_URL.search(rest):
        problem = "a character that must not stand in a URL as it is"
    elif not _has_host(scheme, authority):
        problem = "a URL without a host, or whose port is no number from 1 to 65535"
    else:
        return
    raise ValueError(
        f"{problem}; write {scheme}://HOST:PORT/PATH in quotes, with USER:PASSWORD@ before HOST if "
        "there are any, and percent-encode what is special in them: @ as %40, # as %23, / as %2F, "
        "? as %3F, : as %3A, % as %25"
    )


def _has_host(scheme: str, authority: str) -> bool:
    try:
        address = urlsplit(f"{scheme}://{authority}")
        return bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _schemes() -> str:
    return ", ".join(f"{name}://" for name in URL_SCHEMES)
