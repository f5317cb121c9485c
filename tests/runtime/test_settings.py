"""What the processes are told: whole on the other side of a pipe, and refused where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actd.cameras.config import OpenCVConfig
from actd.codec import decode, encode
from actd.config import load
from actd.resources import resource_dir
from actd.runtime import settings
from actd.runtime.camera import CameraSettings
from actd.runtime.channels import Shapes
from actd.runtime.control_loop import ControlLoopSettings
from actd.runtime.cores import Placement, Share
from tests.runs import policy

CONFIGS = sorted(resource_dir("configs").glob("*.yaml"))
SHARE = Share((1,), (0,), (0,), (0,), (0,), 1)
CAMERA = CameraSettings(
    shapes=Shapes({"top": (48, 64)}, 1, 1, 1, 0),
    fds={},
    placement=Placement((0,), 0),
    name="top",
    config=OpenCVConfig(index_or_path="none.mp4"),
)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: str(file.stem))
def test_the_tick_process_decides_with_what_the_deployment_says(file: Path) -> None:
    config = load(file)
    joints = len(config.joints)
    spec = policy(joints, 100, dict.fromkeys(config.cameras, (480, 640)))
    told = ControlLoopSettings(
        shapes=Shapes({}, 100, joints, len(config.robot.state_names), 0),
        fds={"tick": 7},
        tick=settings.tick_settings(config, 0, SHARE, "boot"),
        control=settings.control_settings(config, spec),
    )
    again = decode(ControlLoopSettings, json.loads(json.dumps(encode(told), allow_nan=False)))
    assert repr(again) == repr(told)
    assert again.control.limits.lower.dtype == told.control.limits.lower.dtype == "float64"
    assert again.supervisor_pid == os.getpid()


def start(told: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actd.runtime.process_entry", "actd.runtime.camera"],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_another_version_tells_is_refused_in_one_line() -> None:
    told = encode(CAMERA) | {"colour": "red"}
    del told["shapes"]
    ended = start(told)
    assert ended.returncode == 1
    assert ended.stderr == (
        "CameraSettings: shapes missing, colour unknown: the daemon was started by another "
        "version of actd; start it again\n"
    )


def test_who_was_not_started_by_its_supervisor_ends_at_once() -> None:
    ended = start(encode(CAMERA) | {"supervisor_pid": 1})
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "")


def test_the_tick_process_and_the_recorders_do_without_pydantic() -> None:
    program = (
        "import sys; from actd.runtime import control_loop, dataset_recorder, flight_recorder\n"
        "from actd.runtime import scored_recorder\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "False"
