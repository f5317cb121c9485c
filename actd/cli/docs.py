"""The documentation of this version, on a robot without a network too."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from actd.cli.app import app
from actd.cli.shared import show
from actd.errors import UsageError


@app.command()
def docs(
    page: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="Page to read; default: list them."),
    ] = None,
) -> None:
    """Read the documentation of this version: pages, or one of them."""
    from actd.resources import resource_dir

    pages = {path.stem: path for path in sorted(resource_dir("docs").glob("*.md"))}
    if page is None:
        for name, path in pages.items():
            typer.echo(f"{name:24} {_title(path)}")
        typer.echo("next: actd docs PAGE")
        return
    name = Path(page).name.removesuffix(".md")
    if name not in pages:
        close = difflib.get_close_matches(name, pages, 1)
        hint = f"did you mean {close[0]}?" if close else "actd docs lists the pages"
        raise UsageError(f"docs: {page}: no such page; {hint}")
    text = pages[name].read_text("utf-8")
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.markdown import Markdown

    show(Markdown(text))


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line[2:].strip() for line in lines if line.startswith("# ")), "")
