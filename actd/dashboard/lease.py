"""One operator at a time: whoever has the lease may arm, everyone may hold and stop."""

from __future__ import annotations

from typing import Literal

Holder = Literal["you", "another", "nobody"]
# A page asks several times a second; one that is gone must not keep the arm from the next.
_EXPIRES_NS = 5_000_000_000


class Lease:
    """Which of the open pages operates. Times are of one monotonic clock."""

    def __init__(self) -> None:
        self._page = ""
        self._seen_ns = 0

    def holder(self, page: str, now_ns: int) -> Holder:
        """Who has the lease, as `page` sees it; asking renews its own."""
        if not self._page or now_ns - self._seen_ns > _EXPIRES_NS:
            self._page = ""
            return "nobody"
        if page != self._page:
            return "another"
        self._seen_ns = now_ns
        return "you"

    def take(self, page: str, now_ns: int) -> None:
        """Give the lease to `page`; the one that had it sees so at its next look."""
        self._page, self._seen_ns = page, now_ns
