"""A deployment that is well, and what a healthy computer, arm and camera would tell of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actd.doctor.computer import read_computer
from actd.doctor.deployment import read_deployment
from actd.doctor.facts import (
    CameraHere,
    CheckpointHere,
    Controller,
    Disk,
    EngineHere,
    Facts,
    Gpu,
    Look,
    Loops,
    PortHere,
)
from actd.engine.verify import compare
from actd.link.sockets import Ports
from actd.timing import percentiles
from tests.doctor.tree import write_tree
from tests.runtime.conftest import write_config
from tests.videos import write_video

Change = Callable[[Facts], Facts]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "root")


@pytest.fixture(scope="session")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with colour that never repeats within a second."""
    chance = np.random.default_rng(0)
    images = (chance.integers(40, 216, (96, 128, 3), np.uint8) for _ in range(60))
    return write_video(tmp_path_factory.mktemp("lively") / "a.avi", images)


@pytest.fixture
def config(tmp_path: Path, small_engine: Path, lively: Path, ports: Ports) -> Path:
    """actd.yaml of an arm of 14 joints with two cameras."""
    other = tmp_path / "b.avi"
    other.write_bytes(lively.read_bytes())
    extra = f"flight: {{folder: {tmp_path / 'flights'}, max_mb: 64}}"
    sources = {"cam_high": str(lively), "cam_low": str(other)}
    return write_config(tmp_path, small_engine, ports, sources, extra)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory, small_engine: Path) -> Facts:
    """Facts in which nothing is wrong."""
    folder = tmp_path_factory.mktemp("healthy")
    tree = write_tree(folder / "root")
    sources = {"cam_high": "a.avi", "cam_low": "b.avi"}
    config = write_config(folder, small_engine, Ports(), sources)
    deployment = read_deployment(config)
    assert deployment.config is not None
    computer = read_computer(tree)
    look = Look(frames=60, damaged=0, fps=30.0, brightness=90.0, grey=False, unchanged_ms=0.0)
    actions = np.zeros((2, 3, 14), np.float32)
    punctual = percentiles([50_000] * 1000)
    return Facts(
        computer=replace(computer, clock_synchronized=True),
        deployment=deployment,
        engine=EngineHere((), None, compare(actions, actions, None)),
        checkpoint=CheckpointHere("checkpoint", same=True),
        gpu=Gpu("NVIDIA", "580.1", 50.0),
        cameras=tuple(
            CameraHere(name, camera, look=look)
            for name, camera in deployment.config.cameras.items()
        ),
        loops=Loops(
            period_ms=20.0,
            seconds=10.0,
            wish="prefer",
            tick=punctual,
            missed=0,
            bare=punctual,
            bare_missed=0,
            granted={"sched_fifo": "ok", "mlockall": "ok", "cpu_dma_latency": "ok"},
            inferring=True,
            stolen_ms=0.0,
        ),
        ports=tuple(PortHere(name, 9871 + i, False) for i, name in enumerate(("state", "status"))),
        disk=Disk("/flights", 50_000.0, 1_000.0),
        controller=Controller(1.0, 50, 0, "", ()),
    )
