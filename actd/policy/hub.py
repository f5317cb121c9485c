"""Checkpoints of the Hugging Face hub: a repo id becomes a folder on this machine.

Owns what may be downloaded: configuration, safetensors and pipelines by name, never
a pickle. Reads the hub's cache by its documented layout, so that a cached checkpoint
needs neither huggingface_hub nor a network. Failure is a CheckpointError of one line.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from actd.errors import CheckpointError
from actd.policy.files import CONFIG, WEIGHTS

PATTERNS = (CONFIG, WEIGHTS, "policy_*.json", "policy_*.safetensors")

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def repo_id(path: Path) -> str | None:
    """`path` as owner/name, None when it cannot be one."""
    text = path.as_posix()
    return text if _REPO_ID.fullmatch(text) else None


def home() -> Path:
    """Hugging Face's folder, as its own tools find it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()


def snapshot(folder: Path) -> Path:
    """The snapshot that a cached repository (`models--owner--name`) calls main."""
    snapshots = sorted(p for p in (folder / "snapshots").iterdir() if p.is_dir())
    reference = folder / "refs" / "main"
    if reference.is_file():
        chosen = folder / "snapshots" / reference.read_text(encoding="utf-8").strip()
        if chosen in snapshots:
            return chosen
    if len(snapshots) == 1:
        return snapshots[0]
    names = ", ".join(p.name for p in snapshots) or "none"
    raise CheckpointError(f"{folder}: refs/main names none of its snapshots ({names}); give one")


def fetch(repo: str) -> Path:
    """The newest snapshot of `repo`: downloaded where there is a network, else cached."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        if (cached := _cached(repo)) is not None:
            return cached
        raise CheckpointError(
            f"{repo}: no such folder, nor a cached Hugging Face repository; "
            "to download it: pip install 'actd[export]'"
        ) from None
    try:
        return Path(snapshot_download(repo, allow_patterns=list(PATTERNS)))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{repo}: no such folder, and the Hugging Face hub gives none "
            f"({type(error).__name__}: {reason}); check the name, the network and `hf auth login`"
        ) from None


def _cached(repo: str) -> Path | None:
    cache = Path(os.environ.get("HF_HUB_CACHE") or home() / "hub").expanduser()
    folder = cache / f"models--{repo.replace('/', '--')}"
    return snapshot(folder) if (folder / "snapshots").is_dir() else None
