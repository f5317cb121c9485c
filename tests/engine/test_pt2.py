"""torch.export archives: a plain one loads, and one that holds anything to execute does not."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from actd.engine import torch_runtime
from actd.engine.pt2 import check_archive
from actd.export.torch_export import write_pt2
from actd.policy.checkpoint import load_checkpoint
from tests.engine.manifests import refused


@pytest.fixture(scope="module")
def archive(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pt2") / "model.pt2"
    write_pt2(load_checkpoint(checkpoint), file)
    return file


def rewritten(archive: Path, out: Path, **changes: bytes) -> Path:
    """A copy of an archive with the ends of these entries' names replaced or added."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            inside = name.partition("/")[2]
            new.writestr(name, changes.pop(inside, None) or old.read(name))
        for inside, data in changes.items():
            new.writestr(f"model/{inside}", data)
    return out


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("exploded",))


def test_archive_with_anything_to_execute_is_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_archive(archive)
    torch.save((Bomb(), {}), tmp_path / "bomb.pt")
    bomb = (tmp_path / "bomb.pt").read_bytes()
    weights, model = "data/weights/model_weights_config.json", "models/model.json"
    with zipfile.ZipFile(archive) as opened:
        pickled = opened.read(f"model/{weights}").replace(
            b'use_pickle": false', b'use_pickle": true'
        )
        graph = opened.read(f"model/{model}")
    relu = b"torch.ops.aten.relu.default"
    other, hub = (
        graph.replace(relu, b"torch.ops.aten.sigmoid.default"),
        graph.replace(relu, b"torch.hub.load"),
    )
    tampered = {
        "sample inputs": ({"data/sample_inputs/model.pt": bomb}, "sample inputs"),
        "pickled weight": ({weights: pickled}, "is pickled"),
        "old weights": ({"data/weights/model.pt": bomb}, "data/weights/model.pt"),
        "library": ({"data/aotinductor/model/a.so": b"\x7fELF"}, "aotinductor"),
        "object": ({"data/constants/opaque_obj_0": bomb}, "opaque_obj_0"),
        "call": ({model: hub}, "torch.hub.load"),
    }
    for name, (changes, words) in tampered.items():
        file = rewritten(archive, tmp_path / f"{name}.pt2", **changes)
        assert words in refused(lambda f=file: torch_runtime._read(f)), name
    check_archive(rewritten(archive, tmp_path / "fine.pt2", **{model: other}))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_no_archive_at_all(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    file.write_bytes(content)
    assert "not a torch.export archive" in refused(lambda: check_archive(file))


def test_archive_with_a_symbolic_shape_is_refused(tmp_path: Path) -> None:
    program = torch.export.export(
        nn.Linear(3, 2), (torch.zeros(4, 3),), dynamic_shapes=({0: torch.export.Dim("n", min=2)},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    assert "symbolic" in refused(lambda: check_archive(tmp_path / "model.pt2"))
