"""The repository's Markdown as a site: pages from outside docs/, and links as a code host has them.

A page is written for readers of the repository, so a link leads from the file that it stands in. On
the site it leads to that file's page; one to a file that has no page becomes its text. mkdocs
itself then refuses, with --strict, what leads nowhere.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

BROUGHT = {
    "overview.md": "README.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "aloha.md": "examples/aloha/README.md",
    "lerobot_policy_actd.md": "plugins/lerobot_policy_actd/README.md",
}
"""Page of the site -> file of the repository, of those that lie outside docs/."""

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in the pages that lie elsewhere."""
    for page, source in BROUGHT.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn every link to a file of the repository into one to its page."""
    here = page.file.src_uri
    source = BROUGHT.get(here, f"docs/{here}")

    def resolved(link: re.Match[str]) -> str:
        if "://" in link["target"]:
            return link[0]
        place = os.path.normpath(Path(source).parent / link["target"])
        uri = next((page for page, path in BROUGHT.items() if path == place), None)
        uri = uri or place.removeprefix("docs/")
        if not place.startswith("docs/") and uri == place:
            if not (ROOT / place).exists():
                return link[0]  # which mkdocs refuses
            return link["text"]
        target = os.path.relpath(uri, Path(here).parent)
        return f"{link['image']}[{link['text']}]({target}{link['anchor'] or ''})"

    return _LINK.sub(resolved, markdown)
