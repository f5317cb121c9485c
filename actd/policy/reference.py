"""What people paste for something on the Hugging Face hub, as repository, revision and folder.

Pure but for HF_ENDPOINT: text in, a Reference or None out. Raises CheckpointError for a page of
the hub that is no model's where a model is wanted.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from actd.errors import CheckpointError

_PART = r"[A-Za-z0-9][\w.-]*"
_PLAIN = re.compile(
    rf"(?:hf:/{{1,2}})?(?P<repo>{_PART}/{_PART})"
    r"(?:@(?P<revision>refs/[\w.-]+/[\w.-]+|[\w.-]+))?(?P<folder>(?:/[\w.-]+)*)"
)
_URL = re.compile(r"(?:https?:/{1,2})?(?P<host>[^/]+)/(?P<path>.+)")
_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
# Between a model's name and a revision in the address of a page.
_VIEWS = ("tree", "blob", "resolve", "raw", "commit")
_FILE = re.compile(r"[^/]+\.(?:json|safetensors)")


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository. `revision` is a branch, tag or commit; `folder` is "" for its root."""

    repo: str
    revision: str | None = None
    folder: str = ""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.repo}{at}" + (f"/{self.folder}" if self.folder else "")


def read_reference(text: str) -> Reference | None:
    """`owner/name`, with `@revision` and `/folder` or not, or the address of its page.

    None for what cannot be one.
    """
    plain = _plain(text)
    if match := _address(plain):
        return _page(match["host"], match["path"], text)
    match = _PLAIN.fullmatch(plain)
    if match is None or ".." in match["folder"].split("/"):
        return None
    return Reference(match["repo"], match["revision"], _folder(match["folder"].split("/")))


def read_dataset_reference(text: str) -> Reference | None:
    """`owner/name` of a dataset, with `@revision` or not, or the address of its page.

    None for what cannot be one.
    """
    plain = _plain(text)
    if match := _address(plain):
        kind, _, path = match["path"].partition("/")
        page = _page(match["host"], path, text) if kind == "datasets" and "/" in path else None
        return page and Reference(page.repo, page.revision)
    match = _PLAIN.fullmatch(plain)
    if match is None or match["folder"]:
        return None
    return Reference(match["repo"], match["revision"])


def _plain(text: str) -> str:
    return re.split(r"[?#]", text.strip())[0].rstrip("/").removesuffix(".git")


def _address(plain: str) -> re.Match[str] | None:
    """`plain` as the address of a page; without https:// only on the hub's own host."""
    match = _URL.fullmatch(plain)
    return match if match and (plain.startswith("http") or match["host"] in _HOSTS) else None


def _page(host: str, path: str, text: str) -> Reference | None:
    _, at, host = host.rpartition("@")
    if host not in (*_HOSTS, urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc):
        return None
    if at:
        raise CheckpointError(
            f"{text}: a user or token in the address; give owner/name, and `hf auth login` once"
        )
    # before they are unquoted: a slash within a revision is no separator
    parts = [unquote(part) for part in path.split("/") if part]
    if parts[0] in ("datasets", "spaces") or len(parts) < 2:
        raise CheckpointError(f"{text}: no model's page; give one of a policy, owner/name")
    repo, view = "/".join(parts[:2]), parts[2:3]
    if view and view[0] in _VIEWS and len(parts) > 3:
        return Reference(repo, parts[3], _folder(parts[4:]))
    return Reference(repo)


def _folder(parts: list[str]) -> str:
    """The folder in a repository; of a file in it, the one that holds it."""
    parts = [part for part in parts if part]
    if parts and _FILE.fullmatch(parts[-1]):
        parts = parts[:-1]
    return "/".join(parts)
