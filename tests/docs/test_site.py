"""The site of the documentation: it builds without a warning, and needs no network to be read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.lines import ROOT

_LOADED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"']?(?P<what>[^\"'\s>]+)"
)
_SHIPPED = ("mkdocs.yml", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out))
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="pip install 'actd[docs]'")
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_there(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.name.replace("README.md", "index.md")).with_suffix(".html").exists()


def test_links_out_of_docs_lead_to_pages(site: Path) -> None:
    assert 'href="overview.html#exit-codes"' in (site / "service.html").read_text("utf-8")
    assert 'href="../aloha.html"' in next(site.glob("decisions/0026-*")).read_text("utf-8")


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    loaded = {
        page: [match["what"] for match in _LOADED.finditer(page.read_text("utf-8"))]
        for page in pages
    }
    assert loaded[site / "index.html"], "what a page loads is seen"
    for page, addresses in loaded.items():
        assert not [what for what in addresses if "://" in what or what.startswith("//")], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8"))


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="pip install 'actd[docs]'")
    root = tmp_path / "repository"
    for name in ("docs", "scripts", "examples", "plugins", "robots", "tests/latency"):
        shutil.copytree(ROOT / name, root / name)
    for name in _SHIPPED:
        shutil.copy(ROOT / name, root / name)
    targets = ("nowhere.md", "../scripts/nowhere", "safety.md#no-such-part")
    links = "".join(f"[gone]({target})\n" for target in targets)
    (root / "docs/poses.md").write_text(f"# Poses\n\n{links}")
    done = build(root, tmp_path / "site")
    assert done.returncode != 0
    assert all(target in done.stderr for target in targets)
