"""Plans that TensorRT really builds, from our own model files, on a computer without a GPU.

TensorRT-RTX has TensorRT's parser and builder and needs no GPU to build. It cannot load what it
built without one, which is tested too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actd.engine.tensorrt import builder
from actd.engine.tensorrt.builder import BuildSettings, build_plan
from actd.engine.tensorrt.engine import open_plan
from actd.errors import EngineError

pytestmark = [
    pytest.mark.tensorrt,
    # it takes TensorRT's timing cache and does nothing with it
    pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops"),
]

OTHERS = {"fp32": "fp16", "fp16": "int8", "int8": "fp16"}


@pytest.fixture(scope="module")
def trt(packages: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(packages / "rtx"))
        import tensorrt_rtx_bindings

        yield tensorrt_rtx_bindings
    assert "tensorrt" not in sys.modules


def model(engines: Path, precision: str) -> Path:
    return engines / f"trt-{precision}" / "model.onnx"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_precision_builds_as_what_it_says(
    trt: Any, trt_engines: Path, precision: Any
) -> None:
    onnx = model(trt_engines, precision)
    built = build_plan(trt, onnx, BuildSettings(precision))
    per_weight = len(built.plan) / built.weights
    low, high = {"fp32": (3.5, 5), "fp16": (1.7, 3), "int8": (0.8, 3)}[precision]
    assert low < per_weight < high
    kind = {"fp32": "FLOAT", "fp16": "HALF", "int8": "INT8"}[precision]
    assert built.tensors[kind] > 10
    assert built.timing_cache


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_graph_of_another_precision_is_refused(
    trt: Any, trt_engines: Path, precision: str
) -> None:
    wanted: Any = OTHERS[precision]
    with pytest.raises(EngineError, match=f"asked for {wanted}, but the graph has no"):
        build_plan(trt, model(trt_engines, precision), BuildSettings(wanted))


def test_the_cpus_8_bit_graph_is_refused_with_the_parsers_words(trt: Any, engines: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot parse it: \w+Linear ") as refused:
        build_plan(trt, engines / "ort-int8" / "model.onnx", BuildSettings("int8"))
    assert "\n" not in str(refused.value)


def test_a_damaged_file_is_refused(trt: Any, trt_engines: Path, tmp_path: Path) -> None:
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(model(trt_engines, "fp32").read_bytes()[:5000])
    with pytest.raises(EngineError, match=rf"{onnx}: TensorRT .* cannot parse it"):
        build_plan(trt, onnx, BuildSettings("fp32"))


def test_a_timing_cache_of_something_else_is_no_obstacle(trt: Any, trt_engines: Path) -> None:
    onnx = model(trt_engines, "fp32")
    first = build_plan(trt, onnx, BuildSettings("fp32"))
    again = build_plan(trt, onnx, BuildSettings("fp32"), first.timing_cache)
    assert len(again.plan) == len(first.plan)
    other = build_plan(trt, onnx, BuildSettings("fp32"), b"not a timing cache")
    assert len(other.plan) == len(first.plan)


def test_a_plan_that_cannot_be_loaded_is_an_error_with_tensorrts_words(
    trt: Any, trt_engines: Path
) -> None:
    plan = build_plan(trt, model(trt_engines, "fp32"), BuildSettings("fp32")).plan
    with pytest.raises(EngineError, match=r"cannot load the plan; TensorRT says: .*driver"):
        open_plan(trt, plan)


def test_a_plan_that_is_too_large_for_its_precision_is_refused(
    trt: Any, trt_engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what TensorRT 11 does to who asks for float16 by a flag: float32, without a word
    monkeypatch.setitem(builder._LIMIT, "fp32", builder._LIMIT["fp16"])
    with pytest.raises(EngineError, match="TensorRT built a wider type"):
        build_plan(trt, model(trt_engines, "fp32"), BuildSettings("fp32"))
