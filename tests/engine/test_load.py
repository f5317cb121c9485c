"""Loading engines and running them: whatever is wrong is one line that says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd import host
from actd.engine.infer import infer_file
from actd.engine.load import load_engine, version_note
from actd.engine.manifest import read_manifest
from actd.resources import resource_dir
from tests.engine.manifests import change, refused

TOP = "observation.images.top"
STATE = "observation.state"


@pytest.fixture
def engine(engines: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(engines / "ort-fp32", tmp_path / "ort-fp32"))


def good() -> dict[str, Any]:
    return {STATE: np.zeros(3, np.float32), TOP: np.zeros((64, 96, 3), np.uint8)}


DAMAGE: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "truncated manifest": (
        lambda f: (f / "manifest.json").write_text('{"format": 1, "eng'),
        ("manifest.json", "not readable JSON"),
    ),
    "not a manifest": (
        lambda f: (f / "manifest.json").write_text("[]"),
        ("manifest.json", "found"),
    ),
    "newer format": (lambda f: change(f, format=2), ("format: 2", "update actd")),
    "bad spec": (lambda f: change(f, spec={}), ("spec",)),
    "unknown runtime": (lambda f: change(f, runtime="abacus"), ("runtime", "abacus")),
    "escaping file": (
        lambda f: change(f, files=[{"name": "../x", "sha256": "0", "bytes": 0}], model="../x"),
        ("outside the engine folder",),
    ),
    "unlisted model": (lambda f: change(f, model="other.onnx"), ("other.onnx",)),
    "model gone": (lambda f: (f / "model.onnx").unlink(), ("model.onnx", "cannot be read")),
    "model short": (lambda f: (f / "model.onnx").write_bytes(b"x"), ("model.onnx", "1 bytes")),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_with_a_remedy(name: str, engine: Path) -> None:
    damage, words = DAMAGE[name]
    damage(engine)
    message = refused(lambda: load_engine(engine))
    assert all(word in message for word in (*words, "rebuild with: actd export")), message


def test_one_changed_byte_is_found(engine: Path) -> None:
    file = engine / "model.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    message = refused(lambda: load_engine(engine))
    assert "sha256" in message
    assert "rebuild with: actd export" in message


def test_parent_folder_lists_the_engines_inside(engines: Path) -> None:
    assert "engines inside: ort-fp32, ort-int8" in refused(lambda: load_engine(engines))


def test_absent_folder(tmp_path: Path) -> None:
    assert "no such folder" in refused(lambda: load_engine(tmp_path / "nowhere"))


BAD_OBSERVATIONS = {
    "no camera": ({STATE: good()[STATE]}, (TOP, "missing", "(64, 96, 3)")),
    "other size": (good() | {TOP: np.zeros((48, 64, 3), np.uint8)}, (TOP, "(48, 64, 3)")),
    "channels first": (good() | {TOP: np.zeros((3, 64, 96), np.uint8)}, (TOP, "(3, 64, 96)")),
    "float image": (good() | {TOP: np.zeros((64, 96, 3), np.float32)}, (TOP, "float32", "uint8")),
    "long state": (good() | {STATE: np.zeros(4, np.float32)}, (STATE, "(4,)", "(3,)")),
    "double state": (good() | {STATE: np.zeros(3)}, (STATE, "float64", "float32")),
}


@pytest.mark.parametrize("name", BAD_OBSERVATIONS)
def test_bad_observation_names_the_key(name: str, engine: Path, tmp_path: Path) -> None:
    observation, words = BAD_OBSERVATIONS[name]
    loaded = load_engine(engine, threads=1)
    message = refused(lambda: loaded.infer(observation))
    assert all(word in message for word in words), message
    np.savez(tmp_path / "obs.npz", **observation)
    out = tmp_path / "out.npz"
    message = refused(lambda: infer_file(engine, tmp_path / "obs.npz", out))
    assert all(word in message for word in ("obs.npz", *words[:2])), message
    assert not out.exists()


def test_good_observation_and_close(engine: Path) -> None:
    loaded = load_engine(engine, threads=1, spin=True)
    assert loaded.infer(good()).shape == (8, 3)
    loaded.close()
    loaded.close()
    assert "closed" in refused(lambda: loaded.infer(good()))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_unreadable_observations(content: bytes, engine: Path, tmp_path: Path) -> None:
    file = tmp_path / "obs.npz"
    file.write_bytes(content)
    assert "obs.npz" in refused(lambda: infer_file(engine, file, tmp_path / "out.npz"))


def test_lengths_that_differ(engine: Path, tmp_path: Path) -> None:
    file = tmp_path / "obs.npz"
    np.savez(file, **{STATE: np.zeros((2, 3), np.float32), TOP: np.zeros((3, 64, 96, 3), np.uint8)})
    assert "different lengths" in refused(lambda: infer_file(engine, file, tmp_path / "o.npz"))


def test_int8_runs_without_vnni_unless_it_was_built_for_it(
    engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "is_x86", lambda: True)
    monkeypatch.setattr(host, "cpu", lambda: ("an older CPU", ("avx2",)))
    load_engine(engines / "ort-int8").close()
    folder = Path(shutil.copytree(engines / "ort-int8", tmp_path / "ort-int8"))
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(
        text.replace('"reduce_range": true', '"reduce_range": false')
    )
    message = refused(lambda: load_engine(folder))
    assert "VNNI" in message
    assert "an older CPU" in message


def test_an_engine_of_an_earlier_actd_is_read() -> None:
    """It has keys that are gone, and was judged by a fixed tolerance."""
    folder = resource_dir("engines") / "demo" / "all-int8"
    text = (folder / "manifest.json").read_text()
    assert '"any_cpu"' in text
    assert '"ensembled"' in text
    manifest = read_manifest(folder)
    assert manifest.parity is not None
    assert manifest.parity.added is None
    assert manifest.reference_tolerance == manifest.recipe.tolerance


def test_another_onnxruntime_is_a_note(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_note(read_manifest(engine)) is None
    monkeypatch.setattr(host, "onnxruntime_version", lambda: "0.1")
    assert "0.1" in str(version_note(read_manifest(engine)))
