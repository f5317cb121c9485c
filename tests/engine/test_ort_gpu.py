"""ONNX Runtime's GPU providers, as far as they can be proven without a GPU: no silent fall-back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actd import host
from actd.engine import ort_gpu
from actd.engine.load import load_engine, missing
from actd.engine.manifest import read_manifest
from tests.engine.manifests import change, refused

GPU = ("cuda", "ort-trt")


@pytest.mark.skipif(not missing("cuda"), reason="this computer runs the CUDA provider")
@pytest.mark.parametrize("runtime", GPU)
def test_gpu_engine_says_what_is_missing(runtime: str, engines: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(engines / "ort-fp32", tmp_path / "gpu"))
    change(folder, engine="gpu", runtime=runtime)
    lacking = missing(runtime)
    message = refused(lambda: load_engine(folder))
    assert lacking
    assert all(problem in message for problem in lacking)


@pytest.mark.skipif(not missing("cuda"), reason="this computer runs the CUDA provider")
@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("runtime", GPU)
def test_session_that_fell_back_is_refused(runtime: str, engines: Path) -> None:
    """Whatever `missing` may have overlooked: the session itself is asked too."""
    folder = engines / "ort-fp32"
    manifest = read_manifest(folder).model_copy(update={"runtime": runtime})
    provider = ort_gpu._PROVIDERS[runtime]
    message = refused(lambda: ort_gpu._session(folder / "model.onnx", manifest))
    assert provider in message
    assert "nvidia-smi" in message


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_real_fall_back_is_seen(engines: Path) -> None:
    import onnxruntime as ort

    file = engines / "ort-fp32" / "model.onnx"
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this onnxruntime has the provider")
    session = ort.InferenceSession(str(file), providers=["CUDAExecutionProvider"])
    found = session.get_providers()
    assert found == ["CPUExecutionProvider"]
    message = refused(lambda: ort_gpu.require_provider(found, "CUDAExecutionProvider", file))
    assert "asked for CUDAExecutionProvider, got CPUExecutionProvider" in message


def test_both_onnxruntimes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "version", lambda package: "1.31")
    (problem,) = missing("cuda")
    assert "both installed" in problem
    assert "pip uninstall" in problem
