"""Where checkpoints are found: runs, links, caches, the hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actd.errors import CheckpointError
from actd.policy.checkpoint import open_checkpoint
from actd.policy.locate import locate
from tests.policy.local_hub import COMMIT, serve


def found(path: Path) -> Path:
    return open_checkpoint(path).stored.folder


@pytest.fixture
def run(pristine: Path, tmp_path: Path) -> Path:
    """A training run with two steps, and `last` leading to the second."""
    run = tmp_path / "run"
    for step in ("010000", "020000"):
        shutil.copytree(pristine, run / "checkpoints" / step / "pretrained_model")
    (run / "checkpoints" / "last").symlink_to("020000")
    return run


def test_last_is_a_link_that_is_followed(run: Path) -> None:
    last = (run / "checkpoints" / "020000" / "pretrained_model").resolve()
    for given in ("", "checkpoints", "checkpoints/last", "checkpoints/last/pretrained_model"):
        assert found(run / given) == last
    assert found(run / "checkpoints" / "010000").parent.name == "010000"
    assert found(last / "model.safetensors") == last


def test_without_last_nothing_is_chosen(run: Path) -> None:
    (run / "checkpoints" / "last").unlink()
    with pytest.raises(CheckpointError, match="010000, 020000; give one of them"):
        locate(run)
    (run / "checkpoints" / "last").symlink_to("gone")
    with pytest.raises(CheckpointError, match="010000, 020000; give one of them"):
        locate(run)


@pytest.fixture
def cache(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache as huggingface_hub lays it out: snapshots of links into blobs."""
    repo = tmp_path / "hf" / "hub" / "models--lab--act_cup"
    for commit in ("aaa", "bbb"):
        (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "blobs").mkdir()
    for i, file in enumerate(sorted(pristine.iterdir())):
        shutil.copy(file, repo / "blobs" / str(i))
        for commit in ("aaa", "bbb"):
            (repo / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{i}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("bbb")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    return repo


def test_cached_repository(cache: Path) -> None:
    assert found(cache) == (cache / "snapshots" / "bbb").resolve()
    assert found(cache / "snapshots" / "aaa") == (cache / "snapshots" / "aaa").resolve()
    (cache / "refs" / "main").unlink()
    with pytest.raises(CheckpointError, match=r"aaa, bbb"):
        locate(cache)


def test_cached_repo_id_needs_no_hub_library(cache: Path) -> None:
    assert found(Path("lab/act_cup")) == (cache / "snapshots" / "bbb").resolve()


def test_unknown_repo_id_without_the_hub_library(cache: Path) -> None:
    assert cache.is_dir()
    with pytest.raises(CheckpointError, match=r"lab/other: no such folder.*actd\[export\]"):
        locate(Path("lab/other"))


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "/no/such"])
def test_a_path_that_is_no_repo_id(name: str) -> None:
    with pytest.raises(CheckpointError, match="no such folder; give the folder with"):
        locate(Path(name))


def inspect(repo: str, endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """`actd inspect` in a process of its own: the hub's library reads its settings once."""
    env = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.run(
        [sys.executable, "-m", "actd", "inspect", repo],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env=env,
    )


def test_repo_id_is_downloaded_once_and_never_a_pickle(folder: Path, tmp_path: Path) -> None:
    (folder / "policy_best.ckpt").write_bytes(b"a pickle")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with serve("lab/act_cup", folder) as hub:
        done = inspect("lab/act_cup", hub.endpoint, tmp_path)
        assert done.returncode == 0, done.stderr
        assert COMMIT in done.stdout
        assert "next: actd export lab/act_cup" in done.stdout
        fetched = {name.rsplit("/", 1)[-1] for name in hub.asked if "/resolve/" in name}
        assert {"config.json", "model.safetensors", "policy_preprocessor.json"} <= fetched
        assert not fetched & {"policy_best.ckpt", "pytorch_model.bin"}
        endpoint = hub.endpoint
    again = inspect("lab/act_cup", endpoint, tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


def test_no_network_is_one_line(tmp_path: Path) -> None:
    done = inspect("lab/act_cup", "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "lab/act_cup: no such folder" in line
