"""The table of docs/doctor.md, from the code: `python -m tests.doctor.page` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from actd.doctor.checks import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"

_BEGIN, _END = "<!-- checks: begin -->", "<!-- checks: end -->"

_FIELD = re.compile(r"\{(\w+)\}")


def table() -> str:
    """The table as Markdown."""
    return "\n".join(_lines())


def updated(page: str) -> str:
    """`page` with the table between its two marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{after}"


def _lines() -> Iterator[str]:
    yield "| check | outcome | what is wrong | fix |"
    yield "|---|---|---|---|"
    for check in CHECKS:
        yield f"| **{check.name}** | | *{check.looks_at}* | |"
        for problem in check.problems:
            fix = _FIELD.sub(lambda match: match[1].upper(), problem.fix)
            yield f"| | {problem.severity} | {_cell(problem.cause)} | {_cell(fix)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
