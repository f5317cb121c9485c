"""What the documentation tells a reader to type: every `actd ...` of its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^(?: {4}.*)?\n)+", re.MULTILINE)
_INLINE = re.compile(r"`(actd [^`]+)`")
_COMMAND = re.compile(
    r"""^\s*(?:\$\ )?(?:sudo\ )?        # a prompt, and who
    (?:\S*/|\$\(which\ )?(actd)\)?      # wherever it is installed
    (\s.*)?$""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A command of a page. `whole`: of a block, where nothing may be missing."""

    page: str
    text: str
    whole: bool


def pages() -> list[Path]:
    """Every page of the repository that tells people what to type."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found += [*(ROOT / "examples").rglob("*.md"), *(ROOT / "plugins").rglob("*.md")]
    return sorted(found)


def blocks(text: str) -> list[str]:
    """The fenced blocks of a page that are typed, not printed or read."""
    return [m["text"] for m in _FENCE.finditer(text) if m["language"] in ("", "sh", "console")]


def lines_of(path: Path) -> Iterator[Line]:
    """Every `actd` command of a page, in order, each on one line."""
    text = path.read_text("utf-8")
    page = str(path.relative_to(ROOT))
    prose = _FENCE.sub("", text)
    for block in [*blocks(text), *_INDENTED.findall(prose)]:
        for line in block.replace("\\\n", " ").splitlines():
            if (match := _COMMAND.match(line)) is not None:
                yield Line(page, f"actd {match[2] or ''}".strip(), whole=True)
    for match in _INLINE.finditer(prose):
        yield Line(page, " ".join(match[1].split()), whole=False)
