"""Keeps what comes again and again from flooding the log: said a few times, then counted.

Pure: times are given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_SAID_MAX = 3
_WINDOW_NS = 60_000_000_000
_KEYS_MAX = 1000

T = TypeVar("T")


@dataclass(slots=True)
class _Past(Generic[T]):
    """When it was said last, and the newest of those that were not said since."""

    said_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_SAID_MAX))
    unsaid: int = 0
    newest: T | None = None

    def may_say(self, now_ns: int) -> bool:
        return len(self.said_ns) < _SAID_MAX or now_ns - self.said_ns[0] >= _WINDOW_NS


class Repetition(Generic[T]):
    """Of each key three items a minute; of the others the newest, as soon as there is room."""

    def __init__(self) -> None:
        self._past: dict[Hashable, _Past[T]] = {}

    def take(self, key: Hashable, item: T, now_ns: int) -> int | None:
        """How many of `key` were left unsaid before `item`, which is to be said now; None: it is
        kept for `due`.
        """
        past = self._past.setdefault(key, _Past())
        if not past.may_say(now_ns):
            past.unsaid, past.newest = past.unsaid + 1, item
            return None
        unsaid = past.unsaid
        self._mark_said(past, now_ns)
        self._forget(now_ns)
        return unsaid

    def due(self, now_ns: int, *, whatever: bool = False) -> list[tuple[T, int]]:
        """What has to be said by now, and how many more it stands for; with `whatever` all."""
        items = []
        for past in self._past.values():
            if past.newest is not None and (whatever or past.may_say(now_ns)):
                items.append((past.newest, past.unsaid - 1))
                self._mark_said(past, now_ns)
        return items

    @staticmethod
    def _mark_said(past: _Past[T], now_ns: int) -> None:
        past.said_ns.append(now_ns)
        past.unsaid, past.newest = 0, None

    def _forget(self, now_ns: int) -> None:
        if len(self._past) > _KEYS_MAX:
            self._past = {k: p for k, p in self._past.items() if p.unsaid or not p.may_say(now_ns)}
