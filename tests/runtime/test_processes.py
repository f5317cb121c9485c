"""What the daemon says of its processes is what the kernel says, and its histograms are real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hdrh.histogram import HdrHistogram

from tests.runtime.conftest import Arm, Daemon

MODULES = {
    "tick": "actd.runtime.control_loop",
    "inference": "actd.runtime.inference",
    "flight recorder": "actd.runtime.flight_recorder",
    "picture recorder": "actd.runtime.picture_recorder",
}


def test_every_process_is_where_the_status_says(daemon: Daemon) -> None:
    with daemon.operator() as operator:
        status = operator.status()
    processes = status["processes"]
    assert set(processes) == {"supervisor", "camera cam_high", "camera cam_low", *MODULES}
    found = {name: daemon.child(module.rpartition(".")[2]) for name, module in MODULES.items()}
    found["supervisor"] = psutil.Process(daemon.process.pid)
    for name, process in found.items():
        cores = [int(core) for core in processes[name]["cores"].split()]
        assert sorted(process.cpu_affinity()) == cores, name
        if name != "tick":
            assert process.nice() == int(processes[name]["nice"]), name
    cameras = [p for p in daemon.processes if "actd.runtime.camera" in p.cmdline()]
    assert [p.nice() for p in cameras] == [int(processes["camera cam_high"]["nice"])] * 2
    assert status["realtime"] == processes["tick"]

    _, output = daemon.end()
    for name, outcome in processes.items():
        assert f"{name}: " in output
        assert f"cores {outcome['cores']}" in output


@pytest.mark.slow
def test_histograms_are_told_on_request_and_written_for_plotters(
    daemon: Daemon, tmp_path: Path
) -> None:
    with daemon.operator() as operator, daemon.robot() as robot:
        Arm(robot).cycle(1.0)
        operator.request("clear")
        Arm(robot).cycle(1.5)  # they are encoded at most once a second
        found = operator.request("histograms")
    recent, whole = (
        HdrHistogram.decode(found[since]["lateness"].encode())
        for since in ("since_clear", "since_start")
    )
    assert 0 < recent.get_total_count() < whole.get_total_count()

    command = [sys.executable, "-m", "actd", "status", "--json", "--hgrm", str(tmp_path / "new")]
    command += ["--config", str(daemon.config), "--since", "start"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "lateness.hgrm: written" in done.stderr
    shown = json.loads(done.stdout)["histograms"]
    again = HdrHistogram.decode(shown["since_start"]["lateness"].encode())
    assert again.get_total_count() >= whole.get_total_count()
    rejected = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rejected.returncode == 2
    assert "exists already" in rejected.stderr
