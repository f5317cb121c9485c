"""Aliases: the fastest engine that is exact enough here, and nothing else left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.engine.load import load_engine, missing
from actd.engine.manifest import read_manifest
from actd.engine.recipe import Recipe, load_recipe, recipe_file, recipe_names
from actd.errors import EngineError
from actd.export import choose, export
from actd.export.export import export_checkpoint


def no_gpu() -> bool:
    return bool(missing("trt"))


def test_auto_stands_for_what_a_robot_can_run() -> None:
    lines: list[str] = []
    found = choose.candidates("auto", lines.append)
    names = {recipe.name for recipe in found}
    assert {"ort-fp32", "ort-int8", "openvino-fp32"} <= names
    assert not any(recipe.runtime == "torch" for recipe in found)
    assert all(not missing(recipe.runtime) for recipe in found)
    left_out = [n for n in recipe_names() if load_recipe(n).auto and n not in names]
    assert len(lines) == len(left_out)
    assert all(any(f"auto: {n} cannot run here: " in line for line in lines) for n in left_out)


@pytest.mark.skipif(not no_gpu(), reason="this computer has TensorRT")
def test_trt_says_what_is_missing(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        export_checkpoint(checkpoint, tmp_path / "out", ["trt"], "synthetic")
    message = str(caught.value)
    assert message.startswith("trt: ")
    assert all(problem in message for problem in missing("trt"))
    assert not (tmp_path / "out").exists()


def strict(name: str) -> Recipe:
    """A recipe that no bfloat16 can meet."""
    recipe = load_recipe(name)
    if recipe.precision != "bf16":
        return recipe
    return recipe.model_copy(update={"synthetic_max_std": 1e-12})


def few(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Leave `auto` these candidates, for a quick test."""
    monkeypatch.setattr(choose, "recipe_names", lambda: list(names))
    monkeypatch.setattr(choose, "load_recipe", strict)


@pytest.mark.slow
def test_the_fastest_is_published_alone(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch, "openvino-bf16", "openvino-fp32", "ort-fp32", "torch")
    lines: list[str] = []
    (result,) = export_checkpoint(checkpoint, tmp_path, ["auto"], "synthetic", lines.append)
    assert any(line.startswith("auto: skipping openvino-bf16: ") for line in lines)
    head, *rows = [line.split() for line in lines if line.startswith("  ")]
    assert head[0] == "engine"
    assert {row[0] for row in rows} == {"openvino-fp32", "ort-fp32"}
    medians_ms = [float(row[1]) for row in rows]
    assert medians_ms == sorted(medians_ms)
    assert rows[0][0] == result.engine
    assert result.folder == tmp_path / result.engine
    assert read_manifest(result.folder).engine == result.engine
    assert [path.name for path in tmp_path.iterdir()] == [result.engine]


@pytest.mark.slow
def test_none_exact_enough_is_an_error_that_tells_all(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few(monkeypatch, "openvino-bf16")
    with pytest.raises(EngineError, match=r"auto: no engine passes .*: openvino-bf16: "):
        export_checkpoint(checkpoint, tmp_path / "out", ["auto"], "synthetic")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_anyones_recipe_is_built_and_named_after_its_file(checkpoint: Path, tmp_path: Path) -> None:
    text = recipe_file("ort-fp32").read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    (built,) = export_checkpoint(checkpoint, tmp_path / "out", [str(mine)], "synthetic")
    assert built.folder == tmp_path / "out" / "mine"
    assert read_manifest(built.folder).engine == "mine"
    assert load_engine(built.folder).name == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ort-fp32.yaml", "is taken or not a plain name; rename the file"),
        ("auto.yaml", "is taken or not a plain name; rename the file"),
        ("a b.yaml", "is taken or not a plain name; rename the file"),
        ("none.yaml", "cannot be read .No such file or directory."),
        ("none", "no such recipe"),
    ],
)
def test_recipes_that_cannot_be(name: str, words: str, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=words):
        export_checkpoint(checkpoint, tmp_path / "out", [str(tmp_path / name)])
    assert not (tmp_path / "out").exists()


def test_a_name_is_an_engine_before_anything_is_built(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no such recipe"):
        export_checkpoint(checkpoint, tmp_path / "out", ["auto", "atuo"])
    assert not (tmp_path / "out").exists()
    assert set(export.ALIASES).isdisjoint(recipe_names())
