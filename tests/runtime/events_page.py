"""The events of docs/events.md, from the code: `python -m tests.runtime.events_page`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from actd.runtime.events import EVENTS, Event

PAGE = Path(__file__).parents[2] / "docs" / "events.md"

_BEGIN, _END = "<!-- events: begin -->", "<!-- events: end -->"


def updated(page: str) -> str:
    """`page` with the events between its two marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{chr(10).join(_lines())}\n{_END}{after}"


def _lines() -> Iterator[str]:
    troubles = [event for event in EVENTS if event.level > logging.INFO]
    for event in sorted(troubles, key=lambda event: event.id):
        yield from _section(event)
    yield ""
    yield "## What is said when nothing is wrong"
    yield ""
    yield "| event | meaning | MESSAGE_ID |"
    yield "|---|---|---|"
    for event in EVENTS:
        if event not in troubles:
            yield f"| `{event.id}` | {event.meaning} | `{event.message_id}` |"


def _section(event: Event) -> Iterator[str]:
    yield ""
    yield f"### {event.id}"
    yield ""
    yield f"{event.meaning}"
    yield ""
    yield f"- Level: {logging.getLevelName(event.level).lower()}"
    yield f"- Cause: {event.cause}"
    yield f"- Remedy: {event.remedy}"
    yield f"- `MESSAGE_ID={event.message_id}`"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
