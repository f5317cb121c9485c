"""LeRobot's side of the tests of `actd drive`: its Python, its flags, buses for its drivers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from tests.drive.conftest import JOINTS, ROOT, Driven, Motion
from tests.drive.feetech import FeetechBus
from tests.runtime.conftest import Daemon

START_S = 240
"""LeRobot takes many seconds to import."""

PLUGINS = Path(__file__).with_name("plugins")
DEGREES = Motion(span=40.0, units="degrees, gripper 0 to 100", centers=(0.0,) * 5 + (50.0,))
LEKIWI = Motion(
    joints=(*(f"arm_{name}" for name in JOINTS), "x.vel", "y.vel", "theta.vel"),
    centers=(0.0,) * 5 + (50.0,) + (0.0,) * 3,
    span=40.0,
    units="degrees, gripper 0 to 100",
)
SO101 = tuple(name.removesuffix(".pos") for name in JOINTS)
LEKIWI_MOTORS = (
    *(f"arm_{name}" for name in SO101),
    "base_left_wheel",
    "base_back_wheel",
    "base_right_wheel",
)


Begin = Callable[..., Driven]


@pytest.fixture
def begin(lerobot_python: str, tmp_path: Path) -> Iterator[Begin]:
    """Starts `actd drive` by LeRobot's Python; nothing survives the test.

    Not in real time: servos of Python would wait behind a driver that never sleeps.
    """
    processes: list[Driven] = []

    def start(daemon: Daemon, *words: str) -> Driven:
        one = Driven(
            tmp_path,
            [*words, "--realtime=off", "--ports", ",".join(map(str, astuple(daemon.ports)))],
            python=lerobot_python,
            environment={
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGINS)]),
                "HF_HOME": str(tmp_path / "hf"),
                "HF_HUB_OFFLINE": "1",
            },
        )
        processes.append(one)
        return one

    yield start
    for one in processes:
        one.process.kill()
        one.process.communicate()


@contextmanager
def bus(
    folder: Path, name: str, motors: tuple[str, ...], *, known: bool = True, device: str = "robot"
) -> Iterator[Any]:
    """A bus with calibrated servos, and the flags that LeRobot needs for it."""
    folder.mkdir(exist_ok=True)
    one = FeetechBus(folder / "arm.log", len(motors))
    calibration = {
        motor: {
            "id": number,
            "drive_mode": 0,
            "homing_offset": 0,
            "range_min": 0,
            "range_max": 4095,
        }
        for number, motor in enumerate(motors, 1)
    }
    if known:
        (folder / "blue.json").write_text(json.dumps(calibration))
    flags = [f"--{device}.type={name}", f"--{device}.port={one.port}", f"--{device}.id=blue"]
    try:
        yield one, [*flags, f"--{device}.calibration_dir={folder}"]
    finally:
        one.close()
