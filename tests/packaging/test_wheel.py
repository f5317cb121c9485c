"""The built wheel: what it carries, and what a robot's controller can do with it alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).parents[2]
KINDS = ("engines", "robots", "configs", "systemd", "docs")


def run(*command: str | Path, cwd: Path) -> str:
    """stdout of a command; when it fails, the test shows all that it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(REPO))
    run(sys.executable, *build, cwd=out)
    (path,) = out.glob("actd-*.whl")
    return path


def test_it_carries_exactly_the_resources(wheel: Path) -> None:
    shipped = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("actd/_data/")}
    on_disk = {
        f"actd/_data/{path.relative_to(REPO)}"
        for kind in KINDS
        for path in ((REPO / kind).rglob("*") if kind == "systemd" else (REPO / kind).iterdir())
        if path.is_file() and (kind != "docs" or path.suffix in (".md", ".xml"))
    }
    demo = (REPO / "engines" / "demo").rglob("*")
    on_disk |= {f"actd/_data/{path.relative_to(REPO)}" for path in demo if path.is_file()}
    assert shipped == on_disk
    assert "actd/_data/engines/demo/all-int8/manifest.json" in shipped
    assert {Path(name).parts[2] for name in shipped} == set(KINDS)


def test_it_carries_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {Path(name).parts[0] for name in names}
    assert {part for part in top if not part.endswith(".dist-info")} == {"actd"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_client_needs_only_pyzmq_and_msgpack(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", "empty", cwd=tmp_path)
    python = tmp_path / "empty/bin/python"
    install = (sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet")
    constraints = f"--constraint={REPO / 'constraints.txt'}"
    run(*install, "--no-deps", wheel, cwd=tmp_path)
    run(*install, constraints, "pyzmq", "msgpack", cwd=tmp_path)
    loaded = run(
        python,
        "-I",
        "-c",
        "import sys, actd.client; print(actd.__file__, *sorted(sys.modules))",
        cwd=tmp_path,
    ).split()
    assert loaded[0].startswith(str(tmp_path))
    assert "actd.client" in loaded
    assert not {"numpy", "cv2", "pydantic", "torch", "onnxruntime"}.intersection(loaded)


@pytest.mark.slow
def test_a_robot_without_torch_runs_an_engine(
    wheel: Path, small_engine: Path, tmp_path: Path
) -> None:
    """`pip install actd[cpu]` in an empty venv: resources, commands and inference work."""
    run(sys.executable, "-m", "venv", "--without-pip", "robot", cwd=tmp_path)
    python = tmp_path / "robot/bin/python"
    install = (sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet")
    run(*install, f"--constraint={REPO / 'constraints.txt'}", f"{wheel}[cpu]", cwd=tmp_path)

    code = "from actd.resources import resource_dir as r\n" + "".join(
        f"print(*sorted(p.name for p in r({kind!r}).iterdir()))\n" for kind in KINDS
    )
    listed = run(python, "-I", "-c", code, cwd=tmp_path)
    for name in ("ort-int8.yaml", "aloha.yaml", "demo.yaml", "actd.service.in", "cameras.md"):
        assert name in listed

    actd = tmp_path / "robot/bin/actd"
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "obs.npz",
        **{
            "observation.state": rng.normal(size=14).astype(np.float32),
            "observation.images.cam_high": rng.integers(0, 255, (96, 128, 3), np.uint8),
            "observation.images.cam_low": rng.integers(0, 255, (96, 128, 3), np.uint8),
        },
    )
    run(actd, "infer", small_engine, "--obs", "obs.npz", "--out", "actions.npz", cwd=tmp_path)
    assert np.load(tmp_path / "actions.npz")["actions"].shape == (50, 14)
    run(actd, "init", small_engine, "--out", "actd.yaml", "--robot", "aloha", cwd=tmp_path)
    run(actd, "run", "--dry-run", "actd.yaml", cwd=tmp_path)
    demo = next((tmp_path / "robot/lib").rglob("_data/engines/demo/all-int8"))
    run(actd, "infer", demo, "--obs", "obs.npz", "--out", "demo.npz", cwd=tmp_path)
    torch = run(python, "-I", "-c", "import importlib.util as u; print(u.find_spec('torch'))",
                cwd=tmp_path)  # fmt: skip
    assert torch.strip() == "None"
