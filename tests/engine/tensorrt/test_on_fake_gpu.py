"""The GPU's code path without a GPU: real pycuda and cuda-bindings on a driver made for tests.

Each runs in a process of its own, because a loaded libcuda cannot be changed. What runs there is
in fake_gpu/.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.tensorrt.fake_gpu.build import build_libcuda

pytestmark = pytest.mark.tensorrt

HERE = Path(__file__).parent / "fake_gpu"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session", params=["pycuda", "cuda-bindings"])
def gpu(
    request: pytest.FixtureRequest, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of a process that sees the fake GPU through one of the two."""
    folder = packages / request.param
    if not folder.is_dir():
        pytest.skip(f"{request.param} could not be built here, see {packages}/pycuda.log")
    library = build_libcuda(
        tmp_path_factory.mktemp("gpu"), next(folder.glob("*/_driver*.so"), None)
    )
    return os.environ | {
        "EXPECTED_DRIVER": request.param,
        "LD_LIBRARY_PATH": str(library.parent),
        "PYTHONPATH": os.pathsep.join(map(str, (folder, HERE / "site", ROOT))),
    }


def passes(file: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{HERE}/{file}"]
    # an error while TensorRT's objects are freed is only a warning otherwise
    strict = ["-W", "error::pytest.PytestUnraisableExceptionWarning"]
    done = subprocess.run(
        [*command, *strict], env=environment, cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_driver(gpu: dict[str, str]) -> None:
    passes("cuda_driver.py", gpu)


def test_a_tensorrt_engine(gpu: dict[str, str], trt_engines: Path) -> None:
    passes("trt_engine.py", gpu | {"ENGINE_FOLDER": str(trt_engines / "trt-fp32")})


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_other_precisions(gpu: dict[str, str], trt_engines: Path, precision: str) -> None:
    test = "trt_engine.py::test_build_judge_keep_and_load_again"
    passes(test, gpu | {"ENGINE_FOLDER": str(trt_engines / f"trt-{precision}")})


def test_a_process_that_forgets_to_close_ends_well(gpu: dict[str, str]) -> None:
    code = "from actd.engine.cuda.driver import open_driver; d = open_driver(); d.alloc(10)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=gpu, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
