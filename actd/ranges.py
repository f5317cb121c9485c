"""Numbers as the kernel and people list them, such as `0-3,6`."""

from __future__ import annotations


def parse_ranges(text: str) -> frozenset[int]:
    """The numbers in a list such as `0-3,6`. Raises ValueError."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            raise ValueError(f"{part}: ends before it begins")
        numbers.update(span)
    return frozenset(numbers)
