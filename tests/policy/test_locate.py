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
from actd.policy.hub import revision_of
from actd.policy.locate import locate
from actd.policy.reference import Reference, read_reference
from tests.policy.local_hub import COMMIT, serve


def found(path: str | Path) -> Path:
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


@pytest.mark.parametrize(
    "name", ["nowhere", "./a/b", "/no/such", "a/b/../c", "https://example.org/a/b", "tests/no/such"]
)
def test_a_path_that_is_no_model_of_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(CheckpointError, match="no such folder; give the folder with"):
        locate(name)


@pytest.mark.parametrize("name", ["datasets/lab/cup", "spaces/lab/cup", "lab"])
def test_a_page_of_something_else(name: str) -> None:
    with pytest.raises(CheckpointError, match="no model's page; give one of a policy"):
        locate(f"https://huggingface.co/{name}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lab/act_cup", Reference("lab/act_cup")),
        ("lab/act_cup/", Reference("lab/act_cup")),
        ("lab/act_cup@step-004000", Reference("lab/act_cup", "step-004000")),
        ("hf://lab/act_cup@v1/a", Reference("lab/act_cup", "v1", "a")),
        ("lab/act_cup/checkpoints/020000", Reference("lab/act_cup", None, "checkpoints/020000")),
        ("lab/act_cup/a/config.json", Reference("lab/act_cup", None, "a")),
        ("https://huggingface.co/lab/act_cup", Reference("lab/act_cup")),
        ("https://huggingface.co/lab/act_cup/tree/main", Reference("lab/act_cup", "main")),
        ("https:/hf.co/lab/act_cup/tree/s-4/a/b/", Reference("lab/act_cup", "s-4", "a/b")),
        ("https://huggingface.co/lab/act_cup/tree/refs%2Fpr%2F3?x=1#y",
         Reference("lab/act_cup", "refs/pr/3")),
        ("https://huggingface.co/lab/act_cup/blob/main/a/model.safetensors",
         Reference("lab/act_cup", "main", "a")),
        ("https://huggingface.co/lab/act_cup/discussions/3", Reference("lab/act_cup")),
        ("https://huggingface.co/lab/act_cup.git", Reference("lab/act_cup")),
        ("huggingface.co/lab/act_cup/tree/main", Reference("lab/act_cup", "main")),
        (" https://hf.co/lab/act_cup/ ", Reference("lab/act_cup")),
        ("lab/act_cup@refs/pr/2", Reference("lab/act_cup", "refs/pr/2")),
        ("lab/act_cup@refs/pr/2/checkpoints/020000",
         Reference("lab/act_cup", "refs/pr/2", "checkpoints/020000")),
        ("lab", None), ("lab/act cup", None), ("/lab/act", None), ("lab/act/../x", None),
    ],
)  # fmt: skip
def test_what_people_paste(text: str, expected: Reference | None) -> None:
    assert read_reference(text) == expected


@pytest.mark.parametrize("view", ["", "/tree/main", "/resolve/main/config.json?download=true"])
def test_a_token_in_an_address_is_refused_and_not_repeated(view: str, tmp_path: Path) -> None:
    address = f"https://me:hf_needle@huggingface.co/lab/act_cup{view}"
    done = inspect(address, "https://huggingface.co", tmp_path)
    assert done.returncode == 2
    assert "a user or token in the address; give owner/name" in done.stderr
    assert "needle" not in done.stdout + done.stderr


def test_any_file_of_a_checkpoint_means_its_folder(run: Path) -> None:
    last = (run / "checkpoints" / "last" / "pretrained_model").resolve()
    (last / "train_config.json").write_text("{}")
    assert found(run / "checkpoints/last/pretrained_model/train_config.json") == last


@pytest.mark.parametrize("given", ["last", "last/pretrained_model"])
@pytest.mark.parametrize("left", ["nothing", "a text"])
def test_last_that_was_not_copied_asks_for_a_step(given: str, left: str, run: Path) -> None:
    (run / "checkpoints" / "last").unlink()
    if left == "a text":
        (run / "checkpoints" / "last").write_text("020000")
    with pytest.raises(CheckpointError, match="010000, 020000; give one of them"):
        locate(run / "checkpoints" / given)


def test_a_cached_branch_needs_no_hub_library(cache: Path) -> None:
    (cache / "refs" / "step-4").write_text("aaa")
    assert found("lab/act_cup@step-4") == (cache / "snapshots" / "aaa").resolve()
    assert found("lab/act_cup@aaa") == (cache / "snapshots" / "aaa").resolve()
    with pytest.raises(CheckpointError, match=r"refs/gone names none of its snapshots"):
        locate("lab/act_cup@gone")


def test_a_cached_repository_without_a_policy_at_its_root_lists_those_it_has(cache: Path) -> None:
    (cache / "refs" / "step-4").write_text("aaa")
    inner = cache / "snapshots" / "bbb" / "checkpoints" / "020000" / "pretrained_model"
    inner.mkdir(parents=True)
    for file in (cache / "snapshots" / "bbb").glob("*.*"):
        shutil.copy(file, inner / file.name)
        file.unlink()
    with pytest.raises(CheckpointError) as caught:
        locate("lab/act_cup")
    step = "lab/act_cup/checkpoints/020000/pretrained_model"
    assert str(caught.value) == (
        f"lab/act_cup: no config.json there; give one of {step}, lab/act_cup@step-4"
    )


def test_the_commit_is_known(cache: Path) -> None:
    assert revision_of(found("lab/act_cup")) == "lab/act_cup@bbb"
    inner = cache / "snapshots" / "bbb" / "checkpoints" / "020000"
    assert revision_of(inner) == "lab/act_cup@bbb/checkpoints/020000"
    assert revision_of(cache) is None


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        "lab/act_cup@step-004000",
        "{endpoint}/lab/act_cup/tree/step-004000",
        "lab/act_cup/checkpoints/020000/pretrained_model",
        "lab/act_cup/checkpoints/020000",
        "lab/act_cup/checkpoints/020000/pretrained_model/train_config.json",
    ],
)
def test_a_branch_or_a_folder_of_a_repository(given: str, folder: Path, tmp_path: Path) -> None:
    main = tmp_path / "main"
    step = main / "checkpoints" / "020000" / "pretrained_model"
    shutil.copytree(folder, step)
    (step / "train_config.json").write_text('{"dataset": {"repo_id": "lab/cup"}, "batch_size": 8}')
    with serve("lab/act_cup", main, {"step-004000": folder}) as hub:
        done = inspect(given.format(endpoint=hub.endpoint), hub.endpoint, tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("dataset lab/cup, batch size 8" in done.stdout) == ("020000" in given)

        done = inspect("lab/act_cup", hub.endpoint, tmp_path)
        assert done.returncode == 2
        # the lines before are the hub's own library
        assert done.stderr.strip().splitlines()[-1] == (
            "lab/act_cup: no config.json there; give one of "
            "lab/act_cup/checkpoints/020000/pretrained_model, lab/act_cup@step-004000"
        )
        done = inspect("lab/act_cup@gone", hub.endpoint, tmp_path)
        assert done.returncode == 2
        assert "lab/act_cup@gone: no such folder" in done.stderr


def test_no_network_is_one_line(tmp_path: Path) -> None:
    done = inspect("lab/act_cup", "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "lab/act_cup: no such folder" in line


def test_a_folder_that_one_may_not_enter_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may enter every folder, so the kernel's refusal is put in its place."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(CheckpointError, match=r"locked: you may not look there; give it read"):
        locate(tmp_path / "locked")
