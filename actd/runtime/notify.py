"""What the service manager is told: ready, a status line, alive, stopping.

Owns nothing but an address. Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID;
gives one AF_UNIX datagram per call, as sd_notify(3) lays them down. Outside
systemd every call does nothing, so callers need no condition. A datagram that
cannot be sent is dropped: telling is never worth stopping the robot for, and a
manager that hears nothing ends the service by its own timeout.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from actd.redaction import redact

SEND_TIMEOUT_S = 0.2


@dataclass(frozen=True, slots=True)
class Notifier:
    """Speaks to the service manager that started this process, if one did.

    `watchdog_interval_ns` is how often `watchdog` has to be called: half of the
    unit's WatchdogSec, or None when nobody watches this process.
    """

    address: str | None = None
    watchdog_interval_ns: int | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Take address and watchdog interval from the environment; what is absent is off."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        usec = environ.get("WATCHDOG_USEC", "")
        watched = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval_ns = int(usec) * 1000 // 2 if watched and usec.isdecimal() else 0
        return cls(address, interval_ns or None)

    def ready(self, status: str) -> None:
        """The service is up: engine warm, cameras delivering."""
        self._send("READY=1", _status(status))

    def status(self, text: str) -> None:
        """The line that `systemctl status` shows."""
        self._send(_status(text))

    def watchdog(self) -> None:
        """Alive. Call it only while the thing worth watching advances."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """A clean stop has begun."""
        self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this much longer, from now, to start or to stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        # The leading @ stands for the NUL byte of Linux's abstract namespace.
        name = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(SEND_TIMEOUT_S)
            try:
                sender.sendto("\n".join(lines).encode(), name)
            except OSError:
                return


def _status(text: str) -> str:
    # A newline would start another assignment.
    return "STATUS=" + redact(" ".join(text.split()))
