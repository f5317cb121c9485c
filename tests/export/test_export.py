"""Building engines: what is recorded, what is refused, and what a failure leaves behind."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from actd.engine.load import load_engine
from actd.engine.manifest import read_manifest
from actd.engine.recipe import Recipe, load_recipe, read_recipe, recipe_names
from actd.errors import EngineError, UsageError
from actd.evaluation.candidates import eval_candidates
from actd.export import export
from actd.export.export import export_checkpoint
from actd.export.publish import publish, scratch_folder
from actd.policy.checkpoint import load_checkpoint
from actd.policy.network import Policy
from actd.policy.overrides import Overrides
from actd.policy.synthetic import synthetic
from tests import layouts
from tests.engine.recipes import recipes_with


def test_manifest_tells_what_was_built(engines: Path, checkpoint: Path) -> None:
    manifest = read_manifest(engines / "ort-int8")
    source = load_checkpoint(checkpoint)
    assert manifest.spec == source.spec
    assert manifest.source.weights_sha256 == source.weights_sha256
    assert manifest.action_std == pytest.approx((0.1, 0.2, 0.3))
    assert manifest.calibration is not None
    assert manifest.calibration.source == "synthetic"
    assert manifest.parity is not None
    assert manifest.parity.statistics.max_std <= manifest.parity.tolerance["max_std"]


def test_graph_bears_the_feature_names(engines: Path) -> None:
    graph = onnx.load(str(engines / "ort-fp32" / "model.onnx")).graph
    assert [i.name for i in graph.input] == ["observation.state", "observation.images.top"]
    assert graph.input[1].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [o.name for o in graph.output] == ["actions"]
    assert {"LayerNormalization", "Cast"} <= {node.op_type for node in graph.node}


def test_int8_is_quantised_smaller_and_close(engines: Path, checkpoint: Path) -> None:
    graph = onnx.load(str(engines / "ort-int8" / "model.onnx")).graph
    assert any(node.op_type == "QuantizeLinear" for node in graph.node)
    sizes = {n: read_manifest(engines / n).size_bytes for n in ("ort-fp32", "ort-int8")}
    assert sizes["ort-int8"] < 0.5 * sizes["ort-fp32"]
    source = load_checkpoint(checkpoint)
    engine, policy = load_engine(engines / "ort-int8"), Policy(source)
    unseen = synthetic(source, count=3, seed=77)
    errors = [np.abs(engine.infer(o) - policy.infer(o)) / (0.1, 0.2, 0.3) for o in unseen]
    assert np.max(errors) < 0.75
    engine.close()


@pytest.mark.slow
def test_given_observations_calibrate(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "load_recipe", recipes_with(0.5))
    source = load_checkpoint(checkpoint)
    frames = tmp_path / "frames"
    frames.mkdir()
    drawn = synthetic(source, count=5, seed=5)
    np.savez(frames / "a.npz", **{k: np.stack([o[k] for o in drawn[:4]]) for k in drawn[0]})
    np.savez(frames / "b.npz", **drawn[4])
    lines: list[str] = []
    export_checkpoint(checkpoint, tmp_path / "out", ["ort-int8"], frames, lines.append)
    calibration = read_manifest(tmp_path / "out" / "ort-int8").calibration
    assert calibration is not None
    assert (calibration.source, calibration.frames) == (str(frames), 5)
    assert not any("synthetic" in line for line in lines)


def strict(name: str) -> Recipe:
    recipe = load_recipe(name)
    tight = recipe.tolerance.model_copy(update={"max_std": 1e-12})
    return recipe.model_copy(update={"tolerance": tight})


@pytest.mark.slow
def test_refused_build_leaves_everything_as_it_was(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "load_recipe", strict)
    with pytest.raises(EngineError, match=r"refused.*joint \d.*std, allowed 1e-12"):
        export_checkpoint(checkpoint, tmp_path / "new", ["ort-fp32"])
    why = ["ort-fp32.rejection.html", "ort-fp32.rejection.json"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == why
    kept = tmp_path / "old" / "ort-fp32"
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text("as it was")
    with pytest.raises(EngineError, match="refused"):
        export_checkpoint(checkpoint, tmp_path / "old", ["ort-fp32"])
    left = sorted(p.name for p in (tmp_path / "old").rglob("*"))
    assert left == ["manifest.json", "ort-fp32", *why]
    assert (kept / "manifest.json").read_text() == "as it was"


@pytest.mark.slow
def test_new_engine_replaces_the_old_whole(checkpoint: Path, tmp_path: Path) -> None:
    old = tmp_path / "ort-fp32"
    old.mkdir()
    (old / "manifest.json").write_text("{}")
    (old / "stale.bin").write_text("x")
    export_checkpoint(checkpoint, tmp_path, ["ort-fp32"])
    files = ["config.json", "manifest.json", "model.onnx", "parity.html", "parity.json"]
    files += ["policy_postprocessor.json", "policy_preprocessor.json", "reference.npz"]
    assert sorted(p.name for p in old.iterdir()) == files
    assert [p.name for p in tmp_path.iterdir()] == ["ort-fp32"]


def test_a_folder_that_is_no_engine_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "ort-fp32").mkdir()
    (tmp_path / "ort-fp32" / "thesis.txt").write_text("mine")
    said: list[str] = []
    with pytest.raises(UsageError, match="in the way"):
        export_checkpoint(checkpoint, tmp_path, ["ort-fp32"], report=said.append)
    assert not any("ONNX" in line for line in said), "said after the work"
    assert (tmp_path / "ort-fp32" / "thesis.txt").read_text() == "mine"


def test_an_interrupted_replacement_brings_the_old_engine_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, place = tmp_path / "built", tmp_path / "engine"
    for folder in (built, place):
        folder.mkdir()
        (folder / "manifest.json").write_text(folder.name)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self == built:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        publish(built, place)
    assert (place / "manifest.json").read_text() == "engine"


KILLED = """
import os, signal, sys
from pathlib import Path
from actd.export.publish import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "model.onnx").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_export_left_goes_and_what_another_is_doing_stays(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    with scratch_folder(tmp_path) as mine:
        assert not left.exists()
        with scratch_folder(tmp_path) as other:
            assert mine.exists()
            assert other != mine
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineError, match="No space left on device"),
        scratch_folder(tmp_path / "out"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_engine_knows_how_to_be_built_again(tmp_path: Path) -> None:
    checkpoint = layouts.write_original(tmp_path / "the run")
    overrides = layouts.ORIGINAL_HINTS
    (built,) = export_checkpoint(checkpoint, tmp_path / "out", ["ort-fp32"], overrides=overrides)
    source = read_manifest(built.folder).source
    assert Overrides.again(source.overrides) == overrides
    words = shlex.split(built.manifest.rebuild)
    assert words[:2] == ["actd", "export"]
    assert words[3 : 3 + len(overrides.options())] == list(overrides.options())
    assert load_checkpoint(words[2], overrides).identity() == source.identity
    candidates = eval_candidates([str(built.folder)], tmp_path)
    assert candidates.torch is not None
    assert candidates.notes == ()


@pytest.mark.parametrize("names", [[], ["ort-fp33"]])
def test_unknown_engine(names: list[str], checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="ort-fp32, ort-int8"):
        export_checkpoint(checkpoint, tmp_path / "out", names)


def test_every_shipped_recipe_reads() -> None:
    assert {"ort-fp32", "ort-int8"} <= set(recipe_names())
    for name in recipe_names():
        assert load_recipe(name).name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("runtime: ort\nprecison: fp32\n", ("precison", "not permitted")),
        (
            "runtime: ort\nprecision: fp32\ngraph: fp32\ntolerance: {max_std: 1, p99_std: 1}\n"
            "x: 1\n",
            ("x:", "not permitted"),
        ),
        (
            "runtime: ort\nprecision: int8\ngraph: u8s8\ntolerance: {max_std: 1, p99_std: 1}\n",
            ("quantization",),
        ),
        ("[1, 2]\n", ("not a map",)),
        ("a: [", ("not readable YAML",)),
    ],
)
def test_bad_recipe_is_one_line(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(EngineError) as caught:
        read_recipe(file)
    assert all(word in str(caught.value) for word in (str(file), *words))
    assert "\n" not in str(caught.value)


def test_manifest_is_plain_json(engines: Path) -> None:
    data = json.loads((engines / "ort-fp32" / "manifest.json").read_text())
    assert data["format"] == 1
    assert data["calibration"] is None
    assert len(data["parity"]["statistics"]["per_joint"]) == 3
