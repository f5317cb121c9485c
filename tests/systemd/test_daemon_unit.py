"""The real daemon under the shipped unit: start, ready, watched, restarted, stopped."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from actd.link.sockets import Ports
from tests.runtime.conftest import write_config
from tests.systemd.machine import SystemdMachine, wait_until
from tests.systemd.test_service_unit import as_shipped
from tests.videos import write_video

pytestmark = pytest.mark.systemd

PYTHON = "/opt/actd/bin/python"


@pytest.fixture(scope="module")
def service(systemd_machine: SystemdMachine, small_engine: Path) -> SystemdMachine:
    """The machine with a deployment in /etc/actd and the unit installed, not yet started."""
    machine = systemd_machine
    srv, etc = machine.root / "srv/actd", machine.root / "etc/actd"
    shutil.copytree(small_engine, srv / "engine")
    etc.mkdir(parents=True, exist_ok=True)
    write_video(srv / "v.avi", (np.full((96, 128, 3), index, np.uint8) for index in range(60)))
    sources = dict.fromkeys(("cam_high", "cam_low"), "/srv/actd/v.avi")
    write_config(etc, Path("/srv/actd/engine"), Ports(), sources)
    for path in (srv, etc):
        machine.run("chmod", "-R", "a+rX", "/" + str(path.relative_to(machine.root)))
    as_shipped(machine, "actd", "-m actd run /etc/actd/actd.yaml")
    return machine


def pid_of(machine: SystemdMachine, role: str) -> str:
    return machine.run("pgrep", "-f", f"actd.runtime.{role}").stdout.split()[0]


def test_start_returns_when_the_daemon_is_ready(service: SystemdMachine) -> None:
    service.systemctl("start", "actd")
    shown = service.systemctl("status", "actd")
    assert "Active: active (running)" in shown
    assert "IDLE" in service.show("actd", "StatusText")
    command = (PYTHON, "-m", "actd", "status", "--json")
    done = service.run("env", "PYTHONPATH=/opt/src", *command)
    status = json.loads(done.stdout)
    assert status["ready"]
    assert {camera["state"] for camera in status["cameras"].values()} == {"ok"}


def test_stop_is_clean_and_leaves_no_process(service: SystemdMachine) -> None:
    service.systemctl("start", "actd")
    service.systemctl("stop", "actd")
    assert service.show("actd", "Result") == "success"
    assert service.run("pgrep", "-f", "actd.runtime").stdout == ""
    assert "stopped" in service.journal("actd")


def test_ticks_that_stop_advancing_get_the_daemon_restarted(service: SystemdMachine) -> None:
    service.systemctl("start", "actd")
    before = service.show("actd", "MainPID")
    service.run("kill", "-STOP", pid_of(service, "control_loop"))
    wait_until(
        lambda: (
            service.show("actd", "NRestarts") == "1"
            and service.show("actd", "ActiveState") == "active"
        ),
        "the watchdog's restart",
        60,
    )
    assert service.show("actd", "MainPID") != before
    assert "Watchdog timeout" in service.journal()
    done = service.run("env", "PYTHONPATH=/opt/src", PYTHON, "-m", "actd", "status", "--json")
    assert json.loads(done.stdout)["mode"] == "IDLE"
    service.systemctl("stop", "actd")


def test_a_bad_configuration_is_not_retried(service: SystemdMachine) -> None:
    config = service.root / "etc/actd/actd.yaml"
    good = config.read_text()
    config.write_text(good.replace("robot:", "robbot:"))
    service.systemctl("start", "actd", check=False)
    assert service.show("actd", "ExecMainStatus") == "78"
    assert service.show("actd", "ActiveState") == "failed"
    assert "did you mean robot?" in service.journal("actd")
    config.write_text(good)


ARM_AND_KILL = """
import json, os, sys, time
from actd.client import Operator, Robot
from actd.errors import LinkError
from actd.mode import Mode

pid, number = int(sys.argv[1]), int(sys.argv[2])
pose = {f"j{k}": 0.0 for k in range(14)}
seen, killed_s, speed = [], None, 0.0
with Robot("test-robot") as robot, Operator(robot="test-robot") as operator:
    end_s = time.monotonic() + 40
    while time.monotonic() < end_s:
        robot.send_state(pose)
        action = robot.receive(0.02)
        if action is None or action.expired:
            seen.append("NONE" if action is None else "EXPIRED")
        else:
            if action.moves:
                pose = action.action
            seen.append(action.mode.name)
        if killed_s is None:
            if seen.count("ARMED") > 60 and action is not None and action.rest_ms > 20:
                seen, killed_s = [], time.monotonic()
                os.kill(pid, number)
            elif "ARMED" not in seen:
                try:
                    operator.arm()
                except LinkError:
                    pass
        elif seen[-1:] == ["STOP"]:
            break
    rest_ms = None if action is None else action.rest_ms
print(json.dumps({"seen": seen, "rest_ms": rest_ms}))
"""


@pytest.mark.parametrize("name", ["KILL", "ABRT", "HUP", "QUIT", "TERM"])
def test_whatever_ends_the_first_process_the_arm_is_ramped_to_rest(
    service: SystemdMachine, name: str
) -> None:
    """With KillMode=mixed the tick process was killed in the middle of the ramp."""
    service.systemctl("restart", "actd")
    number = str(getattr(signal, f"SIG{name}").value)
    pid = service.show("actd", "MainPID")
    done = service.run("env", "PYTHONPATH=/opt/src", PYTHON, "-c", ARM_AND_KILL, pid, number)
    told = json.loads(done.stdout)
    assert told["seen"][-1] == "STOP", told
    assert {"HOLD", "FAULT"} & set(told["seen"]), told
    assert not {"NONE", "EXPIRED"} & set(told["seen"]), told
    assert told["rest_ms"] == 0
    service.systemctl("stop", "actd")
    service.systemctl("reset-failed", "actd", check=False)
