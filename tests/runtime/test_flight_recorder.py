"""The recorder of a real daemon: whatever is killed, the recording stays whole and replays."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from actd.flightlog.reader import Flight, read_flight
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.replay.decisions import verify
from tests.runtime.conftest import Arm, Daemon, running, wait_until, write_config


class Flown:
    """A daemon that records into a folder of its own."""

    def __init__(self, daemon: Daemon, flights: Path) -> None:
        self.daemon = daemon
        self.flights = flights

    def condition(self) -> str:
        with self.daemon.operator() as operator:
            return str(operator.status()["flight"])

    def read(self) -> Flight:
        return read_flight(self.flights)


@pytest.fixture
def begin(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Iterator[Any]:
    """Start a daemon with this `flight:` section; nothing of it survives the test."""
    daemons = ExitStack()

    def start_with(flights: Path, max_mb: int = 64) -> Flown:
        sources = {"cam_high": str(video), "cam_low": str(video)}
        section = f"flight: {{folder: {flights}, max_mb: {max_mb}}}"
        config = write_config(tmp_path, small_engine, ports, sources, section)
        daemon = daemons.enter_context(running(config, ports))
        return Flown(daemon, flights)

    with daemons:
        yield start_with


def armed_for(flown: Flown, seconds: float) -> Arm:
    """Drive the arm; a refusal (chunks not there yet) is asked again."""
    with flown.daemon.robot() as robot, flown.daemon.operator() as operator:
        arm = Arm(robot)
        arm.cycle(10, until=lambda action: action.chunk > 0)
        arm.cycle(0.3)
        operator.arm()
        arm.cycle(seconds)
        return arm


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(5)


def recorder_of(daemon: Daemon) -> list[psutil.Process]:
    processes = psutil.Process(daemon.process.pid).children()
    return [p for p in processes if "actd.runtime.flight_recorder" in p.cmdline()]


@pytest.mark.slow
def test_a_run_with_its_recorder_killed_replays_bit_for_bit(begin: Any, tmp_path: Path) -> None:
    flown = begin(tmp_path / "flights")
    armed_for(flown, 0.5)
    before = recorder_of(flown.daemon)[0]
    kill(before)
    armed = read_flight(tmp_path / "flights").ticks["number"][-1]
    wait_until(lambda: flown.condition() == "recording", "the recorder to be back", 30)
    wait_until(lambda: flown.read().ticks["number"][-1] > armed + 20, "further ticks", 30)
    code, _ = flown.daemon.end()
    assert code == 0
    flight = flown.read()
    numbers = flight.ticks["number"]
    assert flight.gaps == ()
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert np.array_equal(numbers, flight.ticks["seq"])
    modes = {Mode(mode) for mode in flight.ticks["mode"]}
    assert {Mode.IDLE, Mode.ARMED, Mode.STOP} <= modes  # up to the very end
    assert Mode(int(flight.ticks["mode"][-1])) is Mode.STOP
    verdict = verify(flight)
    assert verdict.first_difference is None
    assert verdict.compared == len(numbers)
    _other_settings_differ(flown, tmp_path)


def _other_settings_differ(flown: Flown, folder: Path) -> None:
    slower = folder / "slower.yaml"
    slower.write_text(flown.daemon.config.read_text().replace("velocity: 3,", "velocity: 0.01,"))
    command = [sys.executable, "-m", "actd", "replay", str(flown.flights)]
    same = subprocess.run(command, capture_output=True, text=True, check=False)
    assert same.returncode == 0, same.stderr
    assert "bit for bit" in same.stdout
    told = subprocess.run(
        [*command, "--config", str(slower), "--json"], capture_output=True, text=True, check=True
    )
    change = json.loads(told.stdout)
    assert change["reproduced"]
    assert change["differing"] > 0
    assert change["flags"]["after"]["VELOCITY"] > change["flags"]["before"]["VELOCITY"]


def test_a_family_killed_at_once_leaves_a_recording(begin: Any, tmp_path: Path) -> None:
    flown = begin(tmp_path / "flights")
    arm = armed_for(flown, 0.5)
    for process in [psutil.Process(flown.daemon.process.pid), *flown.daemon.processes]:
        process.suspend()  # nobody gets to tidy up while the others die
    for process in [*flown.daemon.processes, psutil.Process(flown.daemon.process.pid)]:
        process.kill()
    flown.daemon.process.wait(5)
    flight = flown.read()
    assert flight.gaps == ()
    assert Mode.ARMED in flight.ticks["mode"]
    last = arm.received[-1].seq
    assert flight.ticks["number"][-1] > last - 50
    assert verify(flight).equal


@pytest.mark.slow
def test_the_end_of_a_run_whose_supervisor_was_killed_is_recorded(
    begin: Any, tmp_path: Path
) -> None:
    flown = begin(tmp_path / "flights")
    armed_for(flown, 0.3)
    flown.daemon.process.kill()
    flown.daemon.process.wait(5)
    assert flown.daemon.leftovers() == []
    flight = flown.read()
    assert Mode(int(flight.ticks["mode"][-1])) is Mode.STOP
    assert flight.gaps == ()


def test_recordings_of_all_runs_stay_within_the_size(begin: Any, tmp_path: Path) -> None:
    flights = tmp_path / "flights"
    old = flights / "20200101T000000Z-0000"
    old.mkdir(parents=True)
    (old / "run.json").write_text("{}")
    for number in range(8):
        (old / f"ticks-{number:05d}.bin").write_bytes(b"\0" * (1 << 20))
    flown = begin(flights, max_mb=8)
    wait_until(lambda: flown.condition() == "recording", "the recorder to begin")
    wait_until(lambda: len(flown.read().ticks) > 10, "ticks")
    kept = [path for path in flights.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) <= 8 << 20
    assert 0 < len(list(old.glob("*.bin"))) < 8


def test_a_folder_that_cannot_be_made_stops_nothing(begin: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    flown = begin(tmp_path / "file" / "flights")
    wait_until(lambda: flown.condition().startswith("failed"), "the failure to be told")
    assert "set flight.folder" in flown.condition()
    armed_for(flown, 0.2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(point)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def test_a_full_disk_stops_the_recording_and_nothing_else(begin: Any, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (900 << 10))
    flown = begin(small_disk / "flights", max_mb=8)
    wait_until(lambda: flown.condition().startswith("failed: disk full"), "the failure", 30)
    assert re.search(r"flights: 0\.3 MB needed for the next file, 0\.\d free; ", flown.condition())
    armed_for(flown, 0.3)
    ballast.unlink()
    wait_until(lambda: flown.condition() == "recording", "the recorder to go on", 30)
    wait_until(lambda: len(flown.read().ticks) > 10, "ticks", 30)
    assert len(recorder_of(flown.daemon)) == 1
    code, _ = flown.daemon.end()
    assert code == 0


def test_the_recorder_loads_neither_engine_nor_images() -> None:
    program = (
        "import sys, actd.runtime.flight_recorder; "
        "heavy = ('onnxruntime', 'cv2', 'torch', 'pydantic', 'zmq'); "
        "print([name for name in heavy if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
