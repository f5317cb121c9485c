"""Checkpoints of the Hugging Face hub: a reference becomes a folder on this machine.

Owns what may be downloaded: configuration, safetensors and pipelines by name, never
a pickle. Reads the hub's cache by its documented layout, so that a cached checkpoint
needs neither huggingface_hub nor a network. Failure is a CheckpointError of one line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from actd.errors import CheckpointError, brief
from actd.policy.files import CONFIG, TRAIN_CONFIG, WEIGHTS
from actd.policy.reference import Reference

PATTERNS = (
    CONFIG,
    WEIGHTS,
    TRAIN_CONFIG,
    "policy_*.json",
    "policy_*.safetensors",
    "adapter_config.json",
)

# Where a policy may lie in the folder that a reference names.
_WITHIN = ("", "pretrained_model/")

_SNAPSHOT = re.compile(
    r"/models--(?P<repo>[\w.-]+?--[\w.-]+)/snapshots/(?P<commit>[^/]+)(?:/(?P<folder>.+))?$"
)


def home() -> Path:
    """Hugging Face's folder, as its own tools find it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()


def hub_cache() -> Path:
    """Where the hub's tools keep what they downloaded."""
    return Path(os.environ.get("HF_HUB_CACHE") or home() / "hub").expanduser()


def cached_repository(cache: Path, repo: str, kind: str = "models") -> Path:
    """The folder of a repository in a cache: `models--owner--name`."""
    return cache / f"{kind}--{repo.replace('/', '--')}"


def snapshot(folder: Path, revision: str = "main") -> Path:
    """The snapshot of a cached repository that `revision` names.

    That is a branch, a tag or a commit. Of a single snapshot `main` needs no reference.
    """
    snapshots = sorted(p for p in (folder / "snapshots").iterdir() if p.is_dir())
    reference = folder / "refs" / revision
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    chosen = folder / "snapshots" / commit
    if chosen in snapshots:
        return chosen
    if len(snapshots) == 1 and revision == "main":
        return snapshots[0]
    names = ", ".join(p.name for p in snapshots) or "none"
    raise CheckpointError(
        f"{folder}: refs/{revision} names none of its snapshots ({names}); give one"
    )


def revision_of(folder: Path) -> str | None:
    """`owner/name@commit/folder` of what lies in the hub's cache, None for anything else."""
    match = _SNAPSHOT.search(folder.as_posix())
    if match is None:
        return None
    return str(
        Reference(match["repo"].replace("--", "/", 1), match["commit"], match["folder"] or "")
    )


def fetch(reference: Reference) -> Path:
    """The folder of a reference: downloaded where there is a network, else cached.

    Raises CheckpointError, which names the folders and branches that hold a policy where the
    reference names none.
    """
    root = _snapshot(reference)
    folder = root / reference.folder
    if any((folder / within / CONFIG).is_file() for within in _WITHIN):
        return folder
    others = sorted(_policies(reference, root))
    choices = f"give one of {', '.join(others)}" if others else "and in no other folder or branch"
    raise CheckpointError(f"{reference}: no {CONFIG} there; {choices}")


def _snapshot(reference: Reference) -> Path:
    revision = reference.revision or "main"
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        if (cache := cached_repository(hub_cache(), reference.repo)).joinpath("snapshots").is_dir():
            return snapshot(cache, revision)
        raise CheckpointError(
            f"{reference}: no such folder, nor a cached Hugging Face repository; "
            "to download it, pip install 'actd[export]'"
        ) from None
    start = f"{reference.folder}/" if reference.folder else ""
    wanted = [f"{start}{within}{name}" for within in _WITHIN for name in PATTERNS]
    try:
        return Path(snapshot_download(reference.repo, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{reference}: no such folder, and the Hugging Face hub gives none "
            f"({type(error).__name__}: {brief(error)}); check the name, the network and "
            "`hf auth login`"
        ) from None


def _policies(reference: Reference, root: Path) -> set[str]:
    """References to the folders and branches of a repository that hold a policy.

    Looks on the hub and in what is cached; `root` is the snapshot of the reference.
    """
    places = set(_cached_policies(reference, root))
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        return places
    hub = HfApi()
    try:
        for file in hub.list_repo_files(reference.repo, revision=reference.revision):
            if Path(file).name == CONFIG:
                places.add(_named(reference, str(Path(file).parent)))
        for branch in hub.list_repo_refs(reference.repo).branches:
            if branch.name != "main" and hub.file_exists(
                reference.repo, CONFIG, revision=branch.name
            ):
                places.add(f"{reference.repo}@{branch.name}")
    except (HfHubHTTPError, OSError, ValueError):
        pass  # without a network what is cached is all that is known
    return places


def _cached_policies(reference: Reference, root: Path) -> Iterator[str]:
    for file in root.rglob(CONFIG):
        yield _named(reference, file.parent.relative_to(root).as_posix())
    cache = cached_repository(hub_cache(), reference.repo)
    for ref in (cache / "refs").rglob("*"):
        branch = ref.relative_to(cache / "refs").as_posix()
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else ""
        if commit and branch != "main" and (cache / "snapshots" / commit / CONFIG).is_file():
            yield f"{reference.repo}@{branch}"


def _named(reference: Reference, folder: str) -> str:
    return str(Reference(reference.repo, reference.revision, folder.removeprefix(".")))
