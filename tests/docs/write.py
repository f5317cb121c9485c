"""Writes the pages that are made of the code: `python -m tests.docs.write`."""

from __future__ import annotations

from pathlib import Path

from tests.docs import commands_page, configuration_page

DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[Path, str]:
    """Every such page and its text."""
    return {
        DOCS / "commands.md": commands_page.page(),
        DOCS / "configuration.md": configuration_page.page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")  # noqa: T201
