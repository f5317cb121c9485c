"""Runs inside a process with the fake GPU and the fake TensorRT; see test_on_fake_gpu.py."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorrt as trt

from actd.engine.load import load_engine, missing, open_engine
from actd.engine.manifest import read_manifest
from actd.engine.observations import read_npz
from actd.engine.recipe import Tolerance
from actd.engine.tensorrt.engine import TrtEngine
from actd.errors import EngineError
from tests.engine.tensorrt.fake_gpu.cuda_driver import alive

fake = ctypes.CDLL("libcuda.so.1")
FOLDER = Path(os.environ["ENGINE_FOLDER"])
NOTHING = Tolerance(max_std=1e-12, p99_std=1e-12)


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    trt.builds = 0
    yield
    assert trt.alive == 0
    assert not alive()


def load() -> TrtEngine:
    engine = load_engine(FOLDER)
    assert isinstance(engine, TrtEngine)
    return engine


def reference() -> tuple[list[dict[str, Any]], Any]:
    keys = [feature.key for feature in read_manifest(FOLDER).spec.inputs]
    arrays = read_npz(FOLDER / "reference.npz", [*keys, "actions"])
    count = len(arrays["actions"])
    return [{key: arrays[key][i] for key in keys} for i in range(count)], arrays["actions"]


def sidecar(folder: Path) -> dict[str, Any]:
    (file,) = (folder / "plans").glob("*.json")
    data: dict[str, Any] = json.loads(file.read_text())
    return data


def test_nothing_is_missing() -> None:
    assert missing("trt") == []


def test_build_judge_keep_and_load_again(tmp_path: Path) -> None:
    engine = load()
    observations, expected = reference()
    before = fake.fake_launches()
    found = np.stack([engine.infer(observation) for observation in observations])
    manifest = read_manifest(FOLDER)
    allowed = manifest.recipe.tolerance.max_std * max(manifest.action_std or ())
    np.testing.assert_allclose(found, expected, atol=allowed, rtol=0)
    assert fake.fake_launches() == before + len(observations)
    stages = engine.stages
    assert min(stages.copy_in_ns, stages.run_ns, stages.copy_out_ns) > 0
    assert not any("graph" in note for note in engine.notes)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="after it was closed"):
        engine.infer(observations[0])
    facts = sidecar(tmp_path)["facts"]
    assert facts["parity_report"]["statistics"]["max"] <= allowed
    assert facts["layers"][manifest.precision] == 1
    assert facts["reason"] == "building for the first time here"
    load().close()
    assert trt.builds == 1
    assert {file.suffix for file in (tmp_path / "plans").iterdir()} == {
        ".plan",
        ".json",
        ".timings",
        ".lock",
    }


def test_answers_of_earlier_inferences_stay(tmp_path: Path) -> None:
    engine = load()
    observations, expected = reference()
    first, _ = engine.infer(observations[0]), engine.infer(observations[1])
    np.testing.assert_allclose(first, expected[0], atol=1e-5)
    engine.close()


def test_without_a_graph_the_work_is_enqueued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trt, "capturable", False)
    before = fake.fake_launches()
    engine = load()
    observations, expected = reference()
    np.testing.assert_allclose(engine.infer(observations[0]), expected[0], atol=1e-5)
    assert any("no CUDA graph" in note for note in engine.notes)
    assert fake.fake_launches() == before
    engine.close()


def test_a_changed_tensorrt_is_named_and_rebuilt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load().close()
    monkeypatch.setattr(trt, "__version__", "11.5.0")
    with caplog.at_level(logging.WARNING):
        load().close()
    assert "rebuilding because TensorRT 11.4.0 -> 11.5.0" in caplog.text
    assert trt.builds == 2


def test_a_damaged_plan_is_rebuilt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load().close()
    (plan,) = (tmp_path / "plans").glob("*.plan")
    plan.write_bytes(plan.read_bytes()[:-1] + b"x")
    with caplog.at_level(logging.WARNING):
        load().close()
    assert f"{plan} is damaged" in caplog.text


def test_a_plan_that_is_too_far_from_torch_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "added_error", 0.5)
    with pytest.raises(EngineError, match="too far from torch on this computer"):
        load()
    assert not list((tmp_path / "plans").glob("*.plan"))


def test_a_kept_plan_is_judged_at_every_load() -> None:
    load().close()
    manifest = read_manifest(FOLDER)
    strict = manifest.recipe.model_copy(update={"tolerance": NOTHING})
    with pytest.raises(EngineError, match="too far from torch"):
        open_engine(FOLDER, manifest.model_copy(update={"recipe": strict}))
    assert trt.builds == 1


def test_a_plan_without_a_layer_of_its_precision_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "inspected", '{"Layers": [{"Format/Datatype": "Row major BF16"}]}')
    load().close()  # an unknown word tells nothing
    assert sidecar(tmp_path)["facts"]["layers"] == {}
    shutil.rmtree(tmp_path / "plans")
    monkeypatch.setattr(trt, "inspected", '{"Layers": [{"Format/Datatype": "Row major Int8"}]}')
    with pytest.raises(EngineError, match="the plan has no fp32 layer"):
        load()
    assert not list((tmp_path / "plans").glob("*.plan"))


def test_a_plan_that_tensorrt_refuses_is_an_error_with_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load().close()
    monkeypatch.setattr(trt, "refuses_plans", True)
    with pytest.raises(EngineError, match="the plan is of another TensorRT"):
        load()
    assert trt.builds == 2


def test_another_policys_plan_is_refused(tmp_path: Path) -> None:
    manifest = read_manifest(FOLDER)
    spec = replace(manifest.spec, chunk_size=manifest.spec.chunk_size + 1)
    with pytest.raises(EngineError, match=r"the plan has .* the policy"):
        open_engine(FOLDER, manifest.model_copy(update={"spec": spec}))


def test_a_file_that_is_no_onnx_is_refused_with_the_parsers_words(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(FOLDER, folder)
    (folder / "model.onnx").write_bytes(b"no model")
    manifest = read_manifest(folder).model_copy(update={"files": ()})
    with pytest.raises(EngineError, match="cannot parse it: Whole file: not an ONNX model"):
        open_engine(folder, manifest)


def test_a_cache_that_cannot_be_written_costs_a_rebuild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        load().close()
        load().close()
    assert "not cached" in caplog.text
    assert trt.builds == 2


def test_while_an_engine_is_exported_its_plan_waits_for_a_verdict(tmp_path: Path) -> None:
    manifest = read_manifest(FOLDER)
    strict = manifest.recipe.model_copy(update={"tolerance": NOTHING})
    draft = manifest.model_copy(update={"files": (), "recipe": strict})
    open_engine(FOLDER, draft).close()
    assert sidecar(tmp_path)["facts"]["parity_report"] is None
    open_engine(FOLDER, manifest).close()
    assert sidecar(tmp_path)["facts"]["parity_report"]
    assert trt.builds == 1


def test_a_wrong_observation_names_the_key() -> None:
    engine = load()
    observations, _ = reference()
    key = next(iter(observations[0]))
    with pytest.raises(EngineError, match=f"{key}: missing"):
        engine.infer({k: v for k, v in observations[0].items() if k != key})
    with pytest.raises(EngineError, match=key):
        engine.infer(observations[0] | {key: np.zeros((1, 2), np.float64)})
    engine.close()


def test_another_thread_is_refused() -> None:
    engine = load()
    observations, _ = reference()
    refused: list[str] = []

    def use() -> None:
        for call in (lambda: engine.infer(observations[0]), engine.close):
            try:
                call()
            except EngineError as error:
                refused.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == 2
    assert all("one thread" in message for message in refused)
    engine.close()
