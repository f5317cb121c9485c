"""Where a dataset is found: folders, LeRobot's places, the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actd.errors import UsageError
from actd.policy.dataset_folder import dataset_folder, local_folder
from actd.policy.reference import read_dataset_reference
from tests.policy.local_hub import COMMIT, serve


def put(folder: Path) -> Path:
    (folder / "meta").mkdir(parents=True)
    (folder / "meta/info.json").write_text("{}")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, without a network."""
    for name in ("HF_LEROBOT_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hf"


def cached(place: Path, commit: str = "abc", branch: str = "main") -> Path:
    repo = place / "datasets--lab--cup"
    (repo / "refs").mkdir(parents=True, exist_ok=True)
    (repo / "refs" / branch).write_text(commit)
    return put(repo / "snapshots" / commit)


def test_a_recording_goes_before_downloads_and_what_lerobot_was_told_before_all(
    home: Path, tmp_path: Path
) -> None:
    assert local_folder("lab/cup") is None
    hub = cached(home / "hub")
    assert local_folder("lab/cup") == hub
    download = cached(home / "lerobot/hub")
    assert local_folder("lab/cup") == download
    recording = put(home / "lerobot/lab/cup")
    assert local_folder("lab/cup") == recording
    told = put(tmp_path / "elsewhere")
    assert local_folder("lab/cup", str(told)) == told
    assert local_folder(None, str(told)) == told
    assert local_folder(None) is None


def test_a_revision_is_looked_for_first(home: Path) -> None:
    main, old = cached(home / "lerobot/hub"), cached(home / "lerobot/hub", "old", "v2.1")
    assert local_folder("lab/cup", revision="v2.1") == old
    assert local_folder("lab/cup", revision="gone") == main


@pytest.mark.parametrize("name", ["x" * 300 + "/cup", "../..", "a\0b/c", ""])
def test_names_that_no_folder_can_have_are_not_found(name: str) -> None:
    assert local_folder(name, name) is None


@pytest.mark.parametrize(
    ("given", "repo", "revision"),
    [
        ("lab/cup", "lab/cup", None),
        ("lab/cup@v2.1", "lab/cup", "v2.1"),
        ("https://huggingface.co/datasets/lab/cup", "lab/cup", None),
        ("https://huggingface.co/datasets/lab/cup/tree/v2.1/meta", "lab/cup", "v2.1"),
    ],
)
def test_what_people_paste(given: str, repo: str, revision: str | None) -> None:
    found = read_dataset_reference(given)
    assert found is not None
    assert (found.repo, found.revision) == (repo, revision)


@pytest.mark.parametrize("given", ["cup", "a/b/c", "https://huggingface.co/lab/cup", "https://x/y"])
def test_what_is_no_dataset(given: str) -> None:
    assert read_dataset_reference(given) is None
    with pytest.raises(UsageError, match="no such folder; give the folder that holds meta/, or a"):
        dataset_folder(given)


def test_a_folder_is_taken_as_it_is(home: Path, tmp_path: Path) -> None:
    assert dataset_folder(str(put(tmp_path / "set"))) == tmp_path / "set"
    (tmp_path / "bare").mkdir()
    with pytest.raises(UsageError, match=r"no meta/info\.json in it; give the folder"):
        dataset_folder(str(tmp_path / "bare"))
    download = cached(home / "hub")
    assert dataset_folder("lab/cup") == download


def ask(given: str, endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's library reads its settings once."""
    module = "actd.policy.dataset_folder"
    code = f"import sys; from {module} import dataset_folder; print(dataset_folder(sys.argv[1]))"
    env = os.environ | {
        "HF_HOME": str(home),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.run(
        [sys.executable, "-c", code, given], capture_output=True, text=True, check=False, env=env
    )


def test_only_descriptions_and_numbers_are_fetched(home: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "set")
    for file in ("data/chunk-000/file-000.parquet", "videos/top/chunk-000/file-000.mp4"):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_bytes(b"content")
    (folder / "meta/episodes").mkdir()
    (folder / "meta/episodes/file.parquet").write_bytes(b"content")
    with serve("lab/cup", folder, kind="datasets") as hub:
        done = ask("lab/cup", hub.endpoint, home)
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.strip())
    assert found.name.startswith(COMMIT[:-1])
    held = {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()}
    assert held == {
        "meta/info.json",
        "meta/episodes/file.parquet",
        "data/chunk-000/file-000.parquet",
    }
    again = ask("lab/cup", "http://127.0.0.1:9", home)
    assert again.stdout == done.stdout


def test_no_network_is_one_line(home: Path) -> None:
    done = ask("lab/cup", "http://127.0.0.1:9", home)
    last = done.stderr.strip().splitlines()[-1]
    assert "--dataset: lab/cup: not on this computer, and the Hugging Face hub gives none" in last
