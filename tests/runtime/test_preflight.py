"""What `actd config check` and `actd run --dry-run` say of cameras that can be looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from actd.link.sockets import Ports
from tests.runtime.conftest import write_config
from tests.videos import write_video


def check(folder: Path, engine: Path, sources: dict[str, str], *command: str) -> list[str]:
    """The warnings of a command about a deployment with these cameras, which is correct."""
    config = write_config(folder, engine, Ports(), sources)
    done = subprocess.run(
        [sys.executable, "-m", "actd", *(command or ("config", "check")), str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    return [line for line in lines if line.startswith("warning: ") and "robot." not in line]


def test_one_file_by_two_names_is_a_warning(
    tmp_path: Path, small_engine: Path, video: Path
) -> None:
    (tmp_path / "link.avi").symlink_to(video)
    sources = {"cam_high": str(video), "cam_low": "./link.avi"}
    (line,) = check(tmp_path, small_engine, sources)
    assert line == f"warning: cameras.cam_low: the images of cameras.cam_high again ({video})"


def test_one_url_for_two_cameras_is_a_warning_without_its_password(
    tmp_path: Path, small_engine: Path
) -> None:
    sources = {"cam_high": "http://me:needle@LOCALHOST/top", "cam_low": "http://localhost/top/"}
    (line,) = check(tmp_path, small_engine, sources)
    assert line.endswith("the images of cameras.cam_high again (http://localhost/***)")


@pytest.mark.parametrize("command", [("config", "check"), ("run", "--dry-run")])
def test_a_file_that_cannot_be_played_is_said_before_the_daemon_runs(
    tmp_path: Path, small_engine: Path, command: tuple[str, ...]
) -> None:
    write_video(tmp_path / "small.avi", [np.zeros((48, 64, 3), np.uint8)] * 30)
    sources = {"cam_high": "gone.mp4", "cam_low": "small.avi"}
    gone, small = check(tmp_path, small_engine, sources, *command)
    assert f"camera cam_high ({tmp_path}/gone.mp4): no such file" in gone
    assert f"camera cam_low ({tmp_path}/small.avi): asked 128x96, got 64x48" in small
