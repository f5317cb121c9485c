"""`actd docs`: the pages, where there is no network and no repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def docs(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actd", "docs", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_lists_every_page_with_its_title() -> None:
    lines = docs().stdout.splitlines()
    assert {line.split()[0] for line in lines[:-1]} == {path.stem for path in DOCS.glob("*.md")}
    assert next(line for line in lines if line.startswith("cameras ")).endswith("find them")
    assert lines[-1] == "next: actd docs PAGE"


@pytest.mark.parametrize("name", ["cameras", "cameras.md", "docs/cameras.md"])
def test_a_page_is_its_text(name: str) -> None:
    assert docs(name).stdout.rstrip() == (DOCS / "cameras.md").read_text("utf-8").rstrip()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("camera", "did you mean cameras?"),
        ("../README.txt", "did you mean README?"),
        ("qq", "actd docs lists"),
    ],
)
def test_a_page_that_is_not_there_is_one_line(name: str, hint: str) -> None:
    done = docs(name)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert hint in done.stderr
