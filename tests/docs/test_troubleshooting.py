"""docs/troubleshooting.md quotes messages that actd says, in the words in which it says them."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.lines import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
_GAP = "\0"
_ROW = re.compile(r"^\| `(?P<message>[^`]+)` \|", re.MULTILINE)


def messages() -> list[str]:
    """What the page quotes."""
    return [match["message"] for match in _ROW.finditer(PAGE.read_text("utf-8"))]


@cache
def texts() -> tuple[str, ...]:
    """Every string of actd's code; what an f-string fills in is a gap."""
    found = []
    for file in (ROOT / "actd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else _GAP for p in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def is_said(message: str) -> bool:
    """Whether some string of the code is that, or holds it; `...` stands for anything."""
    pattern = re.compile(".*".join(map(re.escape, message.split("..."))), re.DOTALL)
    return any(pattern.search(text) for text in texts())


@pytest.mark.parametrize("message", messages())
def test_a_quoted_message_is_said(message: str) -> None:
    assert is_said(message)


def test_messages_are_found_and_not_everything_is_said() -> None:
    assert len(messages()) > 25
    assert not is_said("port is used...; stop it")
