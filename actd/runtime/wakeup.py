"""Wakes one process when another has something new for it, without polling.

An eventfd that children inherit. It carries no data: the news itself is in a ring. Rung often
before anyone looks, it rings once; rung while nobody is there, it is heard later. Ringing
never waits.
"""

from __future__ import annotations

import os
import select


class WakeUp:
    """Any number may ring, one process waits. `fd` is what a child needs."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) if fd < 0 else fd
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)

    def ring(self) -> None:
        """Wake whoever waits."""
        os.eventfd_write(self.fd, 1)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until it rings, at most `timeout_s`; returns whether it rang."""
        if not self._poll.poll(timeout_s * 1e3):
            return False
        os.eventfd_read(self.fd)
        return True
