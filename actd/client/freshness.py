"""When a received command may no longer be used: the receiver decides that comms are lost.

Sender and receiver may be different computers without synchronised clocks. The smallest
difference seen between arrival and send time is the link at its best; a message that took
longer than that by `delay` is `delay` old on arrival. No clock is read here.
"""

from __future__ import annotations

from actd.link.messages import Action


class Freshness:
    """Keeps the newest command and tells until when it holds."""

    def __init__(self) -> None:
        self._best_offset_ns: int | None = None
        self._newest: Action | None = None
        self._expires_ns = 0

    def accept(self, action: Action, arrival_ns: int) -> None:
        """Take a command that arrived at `arrival_ns` (the receiver's monotonic clock)."""
        restarted = self._newest is not None and action.seq < self._newest.seq
        offset_ns = arrival_ns - action.t_mono_ns
        if self._best_offset_ns is None or restarted:
            self._best_offset_ns = offset_ns
        self._best_offset_ns = min(self._best_offset_ns, offset_ns)
        age_on_arrival_ns = offset_ns - self._best_offset_ns
        self._newest = action
        self._expires_ns = arrival_ns - age_on_arrival_ns + round(action.ttl_ms * 1e6)

    def current(self, now_ns: int) -> Action | None:
        """The newest command while its ttl lasts, else None: hold."""
        return self._newest if now_ns < self._expires_ns else None
