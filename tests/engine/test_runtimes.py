"""Every runtime that runs here: as exact as its recipe says, and alike in all that can go wrong."""

from __future__ import annotations

import json
import locale
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actd import host
from actd.engine import cache, openvino, torch_runtime
from actd.engine.base import Engine, Stages
from actd.engine.load import load_engine
from actd.engine.manifest import read_manifest
from actd.engine.recipe import Recipe, Tolerance, load_recipe
from actd.engine.reference import check_reference
from actd.errors import EngineError
from actd.export import export
from actd.export.export import export_checkpoint
from actd.policy.checkpoint import load_checkpoint
from actd.policy.network import Policy
from actd.policy.synthetic import synthetic
from tests.engine.manifests import change, refused

TOP, STATE = "observation.images.top", "observation.state"

NAMES = ["ort-fp32", "openvino-fp32", "torch", "ort-int8", "openvino-int8"]
needs_bf16 = pytest.mark.skipif(not host.has_bf16(), reason="this CPU has no bfloat16")
EVERY = [*NAMES, pytest.param("openvino-bf16", marks=needs_bf16)]


@pytest.fixture(scope="module", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Compiled models are kept away from the user's own."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CACHE_DIRECTORY", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def built(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runtimes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "load_recipe", lenient)
        export_checkpoint(checkpoint, out, NAMES, "synthetic")
    # float32 again, asked to compute in bfloat16: an untrained policy may refuse it at the build
    copy = out / "openvino-bf16"
    shutil.copytree(out / "openvino-fp32", copy)
    change(copy, engine="openvino-bf16", precision="bf16")
    return out


def lenient(name: str) -> Recipe:
    """A recipe that lets 8 bits pass at once: which layers stay float is tested elsewhere."""
    recipe = load_recipe(name)
    if recipe.precision != "int8":
        return recipe
    return recipe.model_copy(update={"tolerance": Tolerance(max_std=1.0, p99_std=1.0)})


@pytest.fixture(params=EVERY)
def engine(request: pytest.FixtureRequest, built: Path) -> Iterator[Engine]:
    with closing(load_engine(built / request.param, threads=1)) as loaded:
        yield loaded


def good() -> dict[str, Any]:
    return {STATE: np.zeros(3, np.float32), TOP: np.zeros((64, 96, 3), np.uint8)}


# Errors in the policy's own units, on observations that calibrated nothing.
FLOAT32 = dict.fromkeys(("ort-fp32", "openvino-fp32", "torch"), 1e-4)
LARGEST = FLOAT32 | dict.fromkeys(("ort-int8", "openvino-int8", "openvino-bf16"), 0.05)


def test_answers_as_torch_does(engine: Engine, checkpoint: Path) -> None:
    source = load_checkpoint(checkpoint)
    policy = Policy(source)
    for observation in synthetic(source, count=3, seed=99):
        found = engine.infer(observation)
        assert found.shape == (8, 3)
        assert found.dtype == np.float32
        np.testing.assert_allclose(
            found, policy.infer(observation), rtol=0, atol=LARGEST[engine.name]
        )


def test_reference_in_the_folder_is_met(engine: Engine, built: Path) -> None:
    if engine.name == "openvino-bf16":
        pytest.skip("its folder is float32's, with float32's tolerance")
    folder = built / engine.name
    assert check_reference(engine, folder, read_manifest(folder)).observations > 0


def test_stages_are_filled(engine: Engine) -> None:
    assert engine.stages == Stages()
    started_ns = time.perf_counter_ns()
    engine.infer(good())
    spent_ns = time.perf_counter_ns() - started_ns
    stages = engine.stages
    assert 0 < stages.copy_in_ns < stages.run_ns
    assert stages.copy_out_ns < stages.run_ns
    assert 0.5 * spent_ns < stages.copy_in_ns + stages.run_ns + stages.copy_out_ns <= spent_ns


WRONG = {
    "no camera": {STATE: good()[STATE]},
    "nothing": {},
    "other size": good() | {TOP: np.zeros((48, 64, 3), np.uint8)},
    "channels first": good() | {TOP: np.zeros((3, 64, 96), np.uint8)},
    "float image": good() | {TOP: np.zeros((64, 96, 3), np.float32)},
    "long state": good() | {STATE: np.zeros(4, np.float32)},
    "double state": good() | {STATE: np.zeros(3)},
}


def test_all_refuse_in_the_same_words(built: Path) -> None:
    with closing(load_engine(built / "ort-fp32", threads=1)) as first:
        expected = {name: refused(lambda o=o: first.infer(o)) for name, o in WRONG.items()}
    assert len(set(expected.values())) == len(WRONG)
    for name in NAMES[1:]:
        with closing(load_engine(built / name, threads=1)) as engine:
            for wrong, observation in WRONG.items():
                assert refused(lambda o=observation: engine.infer(o)) == expected[wrong]
            assert engine.infer(good()).shape == (8, 3)


def test_close_is_final_and_safe_twice(engine: Engine) -> None:
    engine.infer(good())
    engine.close()
    engine.close()
    assert refused(lambda: engine.infer(good())) == (
        f"{engine.name}: used after it was closed; load it again"
    )


def test_answers_stay_as_they_were(engine: Engine, checkpoint: Path) -> None:
    first, second = synthetic(load_checkpoint(checkpoint), count=2, seed=3)
    kept = engine.infer(first)
    before = kept.copy()
    other = engine.infer(second)
    assert not np.array_equal(other, before)
    np.testing.assert_array_equal(kept, before)


def test_read_only_and_strided_arrays(engine: Engine) -> None:
    random = np.random.default_rng(0)
    wide = random.integers(0, 256, (64, 96, 6), dtype=np.uint8)
    strided = {TOP: wide[:, :, ::2], STATE: np.linspace(0, 1, 6, dtype=np.float32)[::2]}
    plain = {key: np.ascontiguousarray(array) for key, array in strided.items()}
    expected = engine.infer(plain)
    for array in plain.values():
        array.setflags(write=False)
    np.testing.assert_array_equal(engine.infer(plain), expected)
    np.testing.assert_array_equal(engine.infer(strided), expected)


@pytest.mark.slow
def test_two_threads_each_load_their_own(engine: Engine, built: Path) -> None:
    expected = engine.infer(good())

    def in_a_thread(_: int) -> Any:
        with closing(load_engine(built / engine.name, threads=1)) as own:
            return own.infer(good())

    before = locale.setlocale(locale.LC_ALL)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(in_a_thread, range(6)):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert locale.setlocale(locale.LC_ALL) == before


# In a process of its own, which a segmentation fault may take.
SIGNAL_AFTER_TWO = """
import gc, os, signal, sys
from actd.engine.load import load_engine
first, second = (load_engine(folder) for folder in sys.argv[1:])
first.close()
second.close()
del first, second
gc.collect()
rang = []
signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
os.kill(os.getpid(), signal.SIGALRM)
print(len(rang))
"""


@pytest.mark.slow
def test_a_signal_after_two_engines_were_closed_arrives(engine: Engine, built: Path) -> None:
    folder = str(built / engine.name)
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_AFTER_TWO, folder, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


# The pool's threads may run on the cores of their process and on no others.
CORES_OF_THREADS = """
import os, sys
core = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {core})
from actd.engine.load import load_engine
engine = load_engine(sys.argv[1])
cores = [os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")]
print(all(c == {core} for c in cores))
"""


@pytest.mark.slow
def test_no_thread_leaves_the_cores_of_the_process(engine: Engine, built: Path) -> None:
    command = [sys.executable, "-c", CORES_OF_THREADS, str(built / engine.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


# Counted in a process of its own: threads that a library has made stay.
COUNT_THREADS = """
import os, sys
import numpy as np
from actd.engine.load import load_engine
engine = load_engine(sys.argv[1], threads=int(sys.argv[2]))
for _ in range(3):
    engine.infer({f.key: np.zeros(f.boundary_shape, np.uint8 if f.kind == "VISUAL" else np.float32)
                  for f in engine.spec.inputs})
print(len(os.listdir("/proc/self/task")))
"""


def test_onnxruntime_takes_the_threads_that_it_is_given(built: Path) -> None:
    def count(threads: int) -> int:
        command = [sys.executable, "-c", COUNT_THREADS, str(built / "ort-fp32"), str(threads)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert count(3) == count(1) + 2


def test_openvino_takes_the_threads_that_it_is_given(built: Path) -> None:
    folder = built / "openvino-fp32"
    for threads in (1, 2):
        compiled = openvino.compile_model(folder / "model.onnx", read_manifest(folder), threads)
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads


def test_torch_computes_on_its_own_count_of_threads_only(built: Path) -> None:
    before = torch.get_num_threads()
    seen = []
    with closing(torch_engine(built, threads=before + 1)) as engine:
        program = engine._program
        engine._program = lambda *inputs: (seen.append(torch.get_num_threads()), program(*inputs))[
            1
        ]
        engine.infer(good())
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def torch_engine(built: Path, threads: int) -> torch_runtime.TorchEngine:
    folder = built / "torch"
    return torch_runtime.load(folder, read_manifest(folder), threads, False)


# --- OpenVINO


@needs_bf16
def test_openvino_really_computes_in_bfloat16(built: Path) -> None:
    file = built / "openvino-fp32" / "model.onnx"
    for name, types in (("openvino-fp32", {"f32"}), ("openvino-bf16", {"bf16"})):
        compiled = openvino.compile_model(file, read_manifest(built / name), 1)
        assert set(openvino.kernels(compiled)) == types


@needs_bf16
def test_openvino_normalises_in_float32_between_bfloat16(built: Path) -> None:
    manifest = read_manifest(built / "openvino-bf16")
    compiled = openvino.compile_model(built / "openvino-fp32" / "model.onnx", manifest, 1)
    facts = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    norms = [
        f["runtimePrecision"].astype(str) for f in facts if f["layerType"].astype(str) == "MVN"
    ]
    assert norms
    assert set(norms) == {"f32"}


def test_openvino_really_computes_in_8_bits(built: Path) -> None:
    folder = built / "openvino-int8"
    counts = openvino.kernels(
        openvino.compile_model(folder / "model.onnx", read_manifest(folder), 1)
    )
    assert {"u8", "i8"} & set(counts)


def test_bfloat16_is_refused_where_the_cpu_has_none(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "cpu", lambda: ("an older CPU", ("avx2", "avx512_vnni")))
    message = refused(lambda: load_engine(built / "openvino-bf16"))
    assert "an older CPU has no bfloat16" in message
    assert "openvino-fp32" in message


def test_a_precision_that_was_not_followed_is_an_error(built: Path, tmp_path: Path) -> None:
    """A float32 file behind a manifest that says 8 bits is nothing that OpenVINO mentions."""
    folder = Path(shutil.copytree(built / "openvino-int8", tmp_path / "engine"))
    manifest = read_manifest(folder)
    compiled = openvino.compile_model(built / "openvino-fp32" / "model.onnx", manifest, 1)
    with pytest.raises(EngineError, match=r"does not compute in int8 here: .* in f32"):
        openvino._check_kernels(compiled, folder / "model.onnx", manifest)


def test_compiled_model_is_kept_and_a_damaged_one_made_again(
    built: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", f"{tmp_path}:/other")
    folder = built / "openvino-fp32"
    with closing(load_engine(folder, threads=1)) as engine:
        expected = engine.infer(good())
    (blob,) = tmp_path.glob("openvino/*/*.blob")
    whole = blob.read_bytes()
    blob.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[-9:])
    with closing(load_engine(folder, threads=1)) as engine:
        np.testing.assert_array_equal(engine.infer(good()), expected)
    (blob,) = tmp_path.glob("openvino/*/*.blob")
    assert blob.stat().st_size == len(whole)


def test_cache_keeps_the_latest_few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    for i in range(12):
        folder = cache.cache_folder("kind", f"k{i}")
        assert folder is not None
        os.utime(folder, ns=(i * 10**9, i * 10**9))
    latest = cache.cache_folder("kind", "k7")
    assert latest is not None
    kept = {path.name for path in (tmp_path / "kind").iterdir()}
    assert {"k7", "k11", "k10"} <= kept
    assert len(kept) == 8


def test_no_cache_where_nothing_can_be_written(
    built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setenv("CACHE_DIRECTORY", str(in_the_way))
    with closing(load_engine(built / "openvino-fp32", threads=1)) as engine:
        assert engine.infer(good()).shape == (8, 3)


def test_openvino_reports_to_nobody(built: Path) -> None:
    code = (
        "import sys; from actd.engine.load import load_engine\n"
        f"load_engine({str(built / 'openvino-fp32')!r})\n"
        "print('openvino' in sys.modules, sys.modules.get('openvino_telemetry'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True None"


# --- torch.compile


def test_compile_without_a_compiler_names_it(
    built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(built / "torch", tmp_path / "torch-compile"))
    recipe = json.loads((folder / "manifest.json").read_text())["recipe"]
    change(folder, engine="torch-compile", recipe=recipe | {"compile": True})
    monkeypatch.setenv("CXX", "no-such-g++")
    message = refused(lambda: load_engine(folder))
    assert (
        "torch-compile: torch.compile needs a C++ compiler and no-such-g++ is not installed"
        in message
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_torch_compile_answers_as_torch_does(checkpoint: Path, tmp_path: Path) -> None:
    (result,) = export_checkpoint(checkpoint, tmp_path, ["torch-compile"], "synthetic")
    assert result.validation.parity.max_std < 1e-4
