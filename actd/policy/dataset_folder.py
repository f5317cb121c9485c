"""Where the dataset that a policy was trained on lies: a folder, LeRobot's own places, the hub.

Of a dataset on the Hugging Face hub only descriptions and tables are fetched, no videos. Failure
is a UsageError of one line, for the option that named it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from actd.errors import CheckpointError, UsageError, brief
from actd.policy.hub import cached_repository, home, hub_cache, snapshot
from actd.policy.reference import read_dataset_reference

INFO = Path("meta/info.json")
_NUMBERS = ("meta/*", "meta/**", "data/**")


def local_folder(
    name: str | None, root: str | None = None, revision: str | None = None
) -> Path | None:
    """The folder on this computer that holds the dataset `name`, None where there is none.

    `root` is the folder that LeRobot was told.
    """
    return next(filter(_is_dataset, _places(name, root, revision)), None)


def dataset_folder(given: str) -> Path:
    """The dataset that `given` names: a folder, or one on the hub, fetched where it is not here."""
    path = Path(given).expanduser()
    if _is_dataset(path):
        return path
    is_folder = path.is_dir()
    reference = None if is_folder else read_dataset_reference(given)
    if reference is None:
        held = f"no {INFO} in it" if is_folder else "no such folder"
        raise UsageError(
            f"--dataset: {given}: {held}; give the folder that holds meta/, or a hub id owner/name"
        )
    return local_folder(reference.repo, None, reference.revision) or _download(
        reference.repo, reference.revision
    )


def _is_dataset(folder: Path) -> bool:
    try:
        return (folder / INFO).is_file()
    except OSError:  # longer than a name can be, or not ours to read
        return False


def _places(name: str | None, root: str | None, revision: str | None) -> Iterator[Path]:
    """The folder that LeRobot was told, a recording, downloads."""
    if root is not None:
        yield Path(root).expanduser()
    if name is None:
        return
    lerobot = Path(os.environ.get("HF_LEROBOT_HOME") or home() / "lerobot").expanduser()
    yield lerobot / name
    for downloads in (lerobot / "hub", hub_cache()):
        for branch in dict.fromkeys((revision or "main", "main")):
            try:
                yield snapshot(cached_repository(downloads, name, "datasets"), branch)
            except (CheckpointError, OSError, ValueError):
                continue


def _download(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise UsageError(
            f"--dataset: {name}: not on this computer, and to fetch it huggingface-hub is missing; "
            "pip install huggingface-hub, or copy its folders meta and data here and give the path"
        ) from None
    try:
        folder = snapshot_download(
            name, repo_type="dataset", revision=revision, allow_patterns=list(_NUMBERS)
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UsageError(
            f"--dataset: {name}: not on this computer, and the Hugging Face hub gives none "
            f"({type(error).__name__}: {brief(error)}); check the name, the network and "
            "`hf auth login`"
        ) from None
    if not (Path(folder) / INFO).is_file():
        raise UsageError(f"--dataset: {name}: has no {INFO} on the hub; give a LeRobotDataset")
    return Path(folder)
