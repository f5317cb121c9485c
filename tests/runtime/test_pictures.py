"""The pictures of a real daemon: whatever is killed, the last seconds are there and in step."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from actd.flightlog.pictures import SavedMoment, saved_moments
from actd.flightlog.reader import read_flight
from actd.link.sockets import Ports
from actd.mode import Mode
from tests.runtime.conftest import Arm, Daemon, running, wait_until, write_config

SECONDS = 4.0


class Watched:
    """A daemon that keeps pictures in a folder of its own."""

    def __init__(self, daemon: Daemon, flights: Path) -> None:
        self.daemon = daemon
        self.flights = flights

    def says(self) -> dict[str, Any]:
        with self.daemon.operator() as operator:
            pictures: dict[str, Any] = operator.status()["pictures"]
            return pictures

    @property
    def run(self) -> Path:
        return next(path.parent for path in self.flights.glob("*/run.json"))

    def last(self) -> list[Path]:
        return sorted(self.flights.glob("*/pictures/last/*/*.jpg"))

    def moments(self) -> list[SavedMoment]:
        moments, problems = saved_moments(self.run)
        assert problems == []
        return moments

    def recorder(self) -> psutil.Process:
        processes = psutil.Process(self.daemon.process.pid).children()
        return next(p for p in processes if "actd.runtime.picture_recorder" in p.cmdline())

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "actd", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def begin(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Iterator[Any]:
    """Start a daemon with this `keep:` section; nothing of it survives the test."""
    daemons = ExitStack()

    def start_with(section: str = "", flight: str = "max_mb: 64") -> Watched:
        flights = tmp_path / "flights"
        sources = {"cam_high": str(video), "cam_low": str(video)}
        keep = f"keep: {{seconds: {SECONDS}, {section}}}"
        extra = f"flight: {{folder: {flights}, {flight}}}\n{keep}"
        config = write_config(tmp_path, small_engine, ports, sources, extra)
        daemon = daemons.enter_context(running(config, ports))
        return Watched(daemon, flights)

    with daemons:
        yield start_with


def brightness(jpeg: bytes) -> float:
    """The videos' frames are of one grey each, two lighter from frame to frame."""
    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean())


@pytest.mark.slow
def test_a_fault_is_saved_with_what_came_before_and_after(begin: Any) -> None:
    watched = begin("fps: 10")
    wait_until(lambda: len(watched.last()) > 20, "pictures")
    with watched.daemon.robot() as robot, watched.daemon.operator() as operator:
        arm = Arm(robot)
        arm.cycle(10, until=lambda action: action.chunk > 0)
        arm.cycle(0.5)
        operator.arm()
        arm.cycle(1.0)
        assert arm.received[-1].mode is Mode.ARMED
    wait_until(lambda: watched.says()["saved"] == 1, "the moment", 15)  # the arm fell silent
    (saved,) = watched.moments()
    assert saved.moment.cause == "fault"
    assert "robot state" in saved.moment.reason
    flight = read_flight(watched.flights)
    tick = flight.ticks[flight.ticks["number"] == saved.moment.tick][0]
    assert Mode(int(tick["mode"])) is Mode.FAULT
    assert tick["sent_ns"] == saved.moment.t_ns
    for times in (sorted(pictures) for pictures in saved.pictures.values()):
        assert (times[-1] - times[0]) / 1e9 == pytest.approx(SECONDS, abs=0.5)
        assert times[0] < saved.moment.t_ns - 0.5e9
        assert 2.5e9 < times[-1] - saved.moment.t_ns < 3.8e9
        assert 1e8 * 0.6 < np.median(np.diff(times)) < 1e8 * 1.6
    # A page of the run opens on it.
    page = watched.flights.parent / "page.html"
    done = watched.command("report", str(watched.run), "--out", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.index("FAULT at") < text.index("<h2>Summary")
    assert text.count("data:image/jpeg;base64,") > 40
    assert watched.says()["state"] == "running"


@pytest.mark.slow
def test_orders_are_kept_whatever_happens_to_the_recorder_and_a_clean_end_leaves_nothing_else(
    begin: Any,
) -> None:
    watched = begin()
    wait_until(lambda: len(watched.last()) > 20, "pictures")
    done = watched.command("keep", "--config", str(watched.daemon.config), "--json")
    assert done.returncode == 0, done.stderr
    file = Path(json.loads(done.stdout)["file"])
    assert file.parent.parent == watched.run
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) > 20
    (saved,) = watched.moments()
    times = sorted(saved.pictures["cam_high"])
    levels = [brightness(saved.read("cam_high", t_ns)) for t_ns in times]
    assert len(set(np.round(levels))) > 5
    _goes_on_after_a_kill(watched)
    _says_what_is_in_the_way(watched)
    text = watched.command("status", "--config", str(watched.daemon.config)).stdout
    assert "kept" in text
    count = len(watched.moments())
    assert watched.daemon.end()[0] == 0
    assert watched.last() == []
    assert len(list((watched.run / "pictures").iterdir())) == count


def _goes_on_after_a_kill(watched: Watched) -> None:
    recorder, before = watched.recorder(), set(watched.last())
    recorder.kill()
    recorder.wait(5)
    wait_until(lambda: set(watched.last()) - before, "further pictures", 30)
    with watched.daemon.operator() as operator:
        order = operator.keep()["order"]
    wait_until(lambda: watched.says()["orders"] == order, "the moment")
    assert len(watched.moments()) == 2


def _says_what_is_in_the_way(watched: Watched) -> None:
    folder, aside = watched.run / "pictures", watched.run / "aside"
    folder.rename(aside)
    folder.write_text("in the way")
    wait_until(lambda: watched.says()["state"].startswith("failed"), "the failure")
    done = watched.command("keep", "--config", str(watched.daemon.config))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "set flight.folder" in done.stderr
    folder.unlink()
    aside.rename(folder)
    wait_until(lambda: watched.says()["state"] == "running", "the recorder to go on")


@pytest.mark.slow
def test_when_everything_is_killed_the_last_seconds_are_there(begin: Any) -> None:
    watched = begin()
    wait_until(lambda: len(watched.last()) > 20, "pictures")
    family = [psutil.Process(watched.daemon.process.pid), *watched.daemon.processes]
    for process in family:
        process.suspend()  # nobody gets to tidy up while the others die
    killed_ns = time.monotonic_ns()
    for process in reversed(family):
        process.kill()
    watched.daemon.process.wait(5)
    assert watched.daemon.leftovers() == []
    (saved,) = watched.moments()
    assert saved.moment.cause == "killed"
    assert 0 <= killed_ns - saved.moment.t_ns < 0.5e9
    whole = [saved.read("cam_high", t_ns) for t_ns in saved.pictures["cam_high"]]
    assert sum(map(bool, whole)) > 8


@pytest.mark.slow
def test_a_tick_process_that_dies_is_a_moment(begin: Any) -> None:
    watched = begin()
    wait_until(lambda: len(watched.last()) > 20, "pictures")
    watched.daemon.child("control_loop").kill()
    assert watched.daemon.finish()[0] == 1
    (saved,) = watched.moments()
    assert saved.moment.cause == "end"
    assert "tick process" in saved.moment.reason
    assert watched.last() == []


@pytest.mark.slow
def test_it_can_be_turned_off(begin: Any) -> None:
    watched = begin("enabled: false")
    assert watched.says()["state"] == "off"
    assert not list(watched.flights.glob("*/pictures"))
    done = watched.command("keep", "--config", str(watched.daemon.config))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "keep.enabled" in done.stderr
