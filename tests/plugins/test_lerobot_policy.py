"""An engine folder is a policy path of LeRobot's: the same actions through LeRobot's own code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.engine.manifest import MANIFEST, read_manifest

# LeRobot takes many seconds to import.
pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SIDE = Path(__file__).with_name("lerobot_policy_side.py")
STEPS = 120  # a chunk has 100 rows


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it, beside nothing else: LeRobot finds it by its metadata."""
    place, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(ROOT / "plugins" / "lerobot_policy_actd", source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(place), str(source)], check=True)
    return place


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint as LeRobot saves one, and its engines."""
    from actd.export.export import export_checkpoint
    from actd.policy.untrained import write_untrained

    checkpoint = write_untrained(
        tmp_path_factory.mktemp("checkpoint"),
        cameras={"top": (96, 128), "wrist": (96, 128)},
        action_dim=14,
        state_dim=14,
        chunk_size=100,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        n_encoder_layers=2,
    )
    out = tmp_path_factory.mktemp("engines")
    export_checkpoint(checkpoint, out, ["ort-fp32", "ort-int8"], "synthetic", lambda _: None)
    return checkpoint, out


def environment(tmp_path: Path, *packages: Path) -> dict[str, str]:
    """Of LeRobot's processes: without a network, with these packages beside its own."""
    return {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")} | {
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
    }


def lerobot_version(python: str) -> str:
    code = "from importlib.metadata import version; print(version('lerobot'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout


def compared(
    python: str, installed: Path, tmp_path: Path, checkpoint: Path, engine: Path, *options: str
) -> Any:
    """Both policies' actions; the output where LeRobot's process fails."""
    out = tmp_path / "actions.npz"
    done = subprocess.run(
        [python, str(SIDE), str(checkpoint), str(engine), str(STEPS), str(out), *options],
        check=False,
        capture_output=True,
        text=True,
        env=environment(tmp_path, installed, ROOT),
        cwd=tmp_path,
    )
    return np.load(out) if done.returncode == 0 else done.stderr


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--policy.n_action_steps=30",),
        ("--policy.n_action_steps=1", "--policy.temporal_ensemble_coeff=0.01"),
    ],
)
def test_the_exact_engine_gives_lerobots_actions(
    lerobot_python: str,
    installed: Path,
    built: tuple[Path, Path],
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    checkpoint, engines = built
    found = compared(
        lerobot_python, installed, tmp_path, checkpoint, engines / "ort-fp32", *options
    )
    assert not isinstance(found, str), found[-2000:]
    assert found["actual"].shape == (STEPS, 14)
    assert len(np.unique(found["expected"], axis=0)) > STEPS / 2  # or nothing would be compared
    assert np.abs(found["actual"] - found["expected"]).max() < 1e-4


def test_an_engine_in_8_bits_is_within_its_tolerance(
    lerobot_python: str, installed: Path, built: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint, engines = built
    found = compared(lerobot_python, installed, tmp_path, checkpoint, engines / "ort-int8")
    assert not isinstance(found, str), found[-2000:]
    manifest = read_manifest(engines / "ort-int8")
    assert manifest.action_std is not None
    off = np.abs(found["actual"] - found["expected"]) / np.array(manifest.action_std)
    assert 0 < off.max() < manifest.recipe.tolerance.max_std


def test_another_policys_engine_is_refused_at_its_first_chunk(
    lerobot_python: str, installed: Path, built: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its reference is its own, so only LeRobot's answer tells."""
    from actd.policy.untrained import write_untrained

    checkpoint, engines = built
    other = write_untrained(
        tmp_path / "other",
        cameras={"top": (96, 128), "wrist": (96, 128)},
        action_dim=14,
        state_dim=14,
        chunk_size=100,
        dim_model=32,
        n_heads=4,
        dim_feedforward=64,
        n_encoder_layers=1,
    )
    engine = Path(shutil.copytree(engines / "ort-fp32", tmp_path / "engine"))
    text = (engine / MANIFEST).read_text().replace(str(checkpoint), str(other))
    (engine / MANIFEST).write_text(text)
    found = compared(lerobot_python, installed, tmp_path, checkpoint, engine)
    assert isinstance(found, str)
    assert "not LeRobot's answer for this observation" in found
    assert "std" in found


def test_lerobots_rollout_takes_an_engine(
    lerobot_python: str, installed: Path, built: tuple[Path, Path], tmp_path: Path
) -> None:
    """`lerobot-rollout --policy.path=ENGINE` on a robot that writes down its orders."""
    if "0.4." in lerobot_version(lerobot_python):
        pytest.skip("LeRobot 0.4 has no lerobot-rollout")
    told = tmp_path / "told.jsonl"
    done = subprocess.run(
        [
            lerobot_python,
            "-m",
            "lerobot.scripts.lerobot_rollout",
            f"--policy.path={built[1] / 'ort-int8'}",
            "--policy.device=cpu",
            "--device=cpu",
            "--strategy.type=base",
            "--robot.type=still",
            f"--robot.log={told}",
            "--task=t",
            "--fps=10",
            "--duration=10",
            "--return_to_initial_position=false",
        ],
        check=False,
        capture_output=True,
        text=True,
        env=environment(tmp_path, installed, ROOT, ROOT / "tests/drive/plugins"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    actions = np.array([list(json.loads(line).values()) for line in told.open()])
    assert len(actions) > 10
    assert actions.shape[1] == 14
    assert np.isfinite(actions).all()
    assert (actions.std(0) > 0).all()


def test_a_damaged_engine_is_refused_when_it_is_loaded(
    lerobot_python: str, installed: Path, built: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint, engines = built
    engine = Path(shutil.copytree(engines / "ort-fp32", tmp_path / "engine"))
    model = engine / read_manifest(engine).model
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 0xFF
    model.write_bytes(data)
    found = compared(lerobot_python, installed, tmp_path, checkpoint, engine)
    assert isinstance(found, str)
    assert f"{engine}" in found.strip().splitlines()[-1]


def test_what_no_chunk_can_give_is_refused(
    lerobot_python: str, installed: Path, built: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint, engines = built
    config = json.loads((engines / "ort-fp32" / "config.json").read_text())
    assert config["type"] == "actd"
    engine = Path(shutil.copytree(engines / "ort-fp32", tmp_path / "engine"))
    (engine / "config.json").write_text(json.dumps(config | {"n_action_steps": 101}))
    found = compared(lerobot_python, installed, tmp_path, checkpoint, engine)
    assert isinstance(found, str)
    assert "n_action_steps: 101; give 1 to 100" in found
