"""The real daemon as the installed service: start, ready, watched, restarted, stopped, reloaded."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actd.runtime.events import PROCESS_DIED
from tests.systemd.conftest import PYTHON, actd, deploy, run_from_source
from tests.systemd.machine import SOURCE, CannotBoot, SystemdMachine, booted, wait_until

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(300)]

CONFIG = "etc/actd/actd.yaml"
# From the operator's order to the last word, ramp included.
STOP_LIMIT_S = 2.0


@pytest.fixture(scope="module")
def service(installed: SystemdMachine, small_engine: Path) -> SystemdMachine:
    """The machine with a deployment in /etc/actd, not yet started."""
    deploy(installed, small_engine)
    return installed


@pytest.fixture
def running(service: SystemdMachine) -> Iterator[SystemdMachine]:
    """A daemon that is ready, for one test."""
    service.systemctl("restart", "actd")
    yield service
    service.systemctl("stop", "actd")
    service.systemctl("reset-failed", "actd", check=False)


def status(machine: SystemdMachine) -> dict[str, Any]:
    done = actd(machine, "status", "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def pid_of(machine: SystemdMachine, role: str) -> str:
    return machine.run("pgrep", "-f", f"actd.runtime.{role}").stdout.split()[0]


def arm_and(
    machine: SystemdMachine, when: str, until: str, *command: str, robot: str = "test-robot"
) -> dict[str, Any]:
    """What an arm hears after `command`; see arm.py."""
    words = (f"{SOURCE}/tests/systemd/arm.py", robot, "9871", when, until, *command)
    done = machine.run("env", f"PYTHONPATH={SOURCE}", PYTHON, *words, timeout_s=150)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["seen"][-1:] == [until], (told, machine.journal("actd"))
    return told


def test_start_returns_when_the_daemon_is_ready(running: SystemdMachine) -> None:
    shown = running.systemctl("status", "actd")
    assert "Active: active (running)" in shown
    assert "IDLE" in running.show("actd", "StatusText")
    answer = status(running)
    assert answer["ready"]
    assert {camera["state"] for camera in answer["cameras"].values()} == {"ok"}
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9875/').status)"
    assert running.run(PYTHON, "-c", page).stdout == "200\n"
    done = actd(running, "service", "status")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("actd.service: active, process ")


def test_stop_is_clean_and_leaves_no_process(running: SystemdMachine) -> None:
    running.systemctl("stop", "actd")
    assert running.show("actd", "Result") == "success"
    assert running.run("pgrep", "-f", "actd.runtime").stdout == ""
    assert "stopped" in running.journal("actd")


def test_a_start_may_take_longer_than_the_unit_allows_while_an_engine_is_loaded(
    service: SystemdMachine,
) -> None:
    """As an engine that is compiled for this computer does for minutes: inference stands still."""
    service.install_unit("actd.service.d/hasty.conf", "[Service]\nTimeoutStartSec=4\n")
    service.systemctl("start", "--no-block", "actd")
    wait_until(
        lambda: service.run("pgrep", "-f", "actd.runtime.inference").stdout != "", "inference"
    )
    service.run("kill", "-STOP", pid_of(service, "inference"))
    time.sleep(8)
    assert service.show("actd", "ActiveState") == "activating", service.journal("actd")
    assert "starting" in service.show("actd", "StatusText")
    service.run("kill", "-CONT", pid_of(service, "inference"))
    wait_until(lambda: service.show("actd", "ActiveState") == "active", "the daemon", 40)
    assert service.show("actd", "NRestarts") == "0"
    service.systemctl("stop", "actd")
    (service.root / "run/systemd/system/actd.service.d/hasty.conf").unlink()
    service.systemctl("daemon-reload")


def test_a_tick_that_stands_still_is_noticed_and_the_daemon_comes_back_disengaged(
    running: SystemdMachine,
) -> None:
    before = running.show("actd", "MainPID")
    told = arm_and(running, "moving", "IDLE", "kill", "-STOP", pid_of(running, "control_loop"))
    assert "EXPIRED" in told["seen"]  # the client led the arm to rest
    assert running.show("actd", "NRestarts") == "1"
    assert running.show("actd", "MainPID") != before
    assert "Watchdog timeout" in running.journal()


@pytest.mark.parametrize(
    ("role", "until", "restarts"),
    [
        ("inference", "FAULT", 0),
        ("camera", "FAULT", 0),
        ("flight_recorder", "ARMED", 0),
        ("control_loop", "IDLE", 1),
        ("main", "IDLE", 1),
        ("all", "IDLE", 1),
    ],
)
def test_whatever_process_is_killed_nothing_is_engaged_again(
    running: SystemdMachine, role: str, until: str, restarts: int
) -> None:
    whole = role in ("main", "all")
    if whole:
        kill = ["systemctl", "kill", f"--kill-who={role}", "--signal=KILL", "actd"]
    else:
        kill = ["kill", "-KILL", pid_of(running, role)]
    told = arm_and(running, "moving", until, *kill)
    wait_until(lambda: running.show("actd", "ActiveState") == "active", "the daemon")
    assert running.show("actd", "NRestarts") == str(restarts)
    if until == "ARMED":
        assert told["seen"] == ["ARMED"]  # a recording is not worth an arm that stops
    else:
        assert told["seen"].count("ARMED") <= 1, told
        assert status(running)["mode"] == until


@pytest.mark.parametrize("name", ["KILL", "ABRT", "HUP", "QUIT", "TERM"])
def test_whatever_ends_the_first_process_the_arm_is_ramped_to_rest(
    running: SystemdMachine, name: str
) -> None:
    """With KillMode=mixed the tick process was killed in the middle of the ramp."""
    number = str(getattr(signal, f"SIG{name}").value)
    kill = ("kill", f"-{number}", running.show("actd", "MainPID"))
    told = arm_and(running, "moving", "STOP", *kill)
    assert {"HOLD", "FAULT"} & set(told["seen"]), told
    assert not {"NONE", "EXPIRED"} & set(told["seen"]), told
    assert told["rest_ms"] == 0
    assert told["took_s"] < STOP_LIMIT_S


@pytest.mark.parametrize("when", ["moving", "resting", "arming"])
def test_systemctl_stop_ends_in_a_ramp_and_stop_within_two_seconds(
    running: SystemdMachine, when: str
) -> None:
    told = arm_and(running, when, "STOP", "systemctl", "stop", "actd")
    assert told["rest_ms"] == 0
    assert told["status"] == 0
    assert told["took_s"] < STOP_LIMIT_S
    assert running.show("actd", "Result") == "success"


def entries(machine: SystemdMachine, *matches: str) -> list[dict[str, str]]:
    machine.run("journalctl", "--sync")
    told = machine.run("journalctl", "--no-pager", "-u", "actd", "-o", "json", *matches).stdout
    return [json.loads(line) for line in told.splitlines()]


def test_the_journal_has_fields_to_search_by(running: SystemdMachine) -> None:
    told = arm_and(running, "moving", "FAULT", "kill", "-KILL", pid_of(running, "inference"))
    assert told["seen"][-1] == "FAULT"
    wait_until(lambda: bool(entries(running, "ACTD_EVENT=process-died")), "the event")
    died = entries(running, "ACTD_EVENT=process-died", "ACTD_MODE=FAULT")[-1]
    assert (died["PRIORITY"], died["ACTD_ROBOT"]) == ("3", "test-robot")
    assert (died["SYSLOG_IDENTIFIER"], died["_SYSTEMD_UNIT"]) == ("actd", "actd.service")
    assert died["MESSAGE"].startswith("mode FAULT: ")
    assert died["MESSAGE"].endswith(" [process-died]")
    assert int(died["ACTD_TICK"]) > 0
    assert died in entries(running, f"MESSAGE_ID={PROCESS_DIED.message_id}")
    camera = entries(running, "ACTD_EVENT=camera-ok", "ACTD_CAMERA=cam_high")[-1]
    assert (camera["PRIORITY"], camera["ACTD_PROCESS"]) == ("6", "camera cam_high")
    # Nothing of the daemon is a bare line; systemd's own lines are of PID 1.
    invocation = f"_SYSTEMD_INVOCATION_ID={running.show('actd', 'InvocationID')}"
    bare = [e for e in entries(running, invocation) if "ACTD_EVENT" not in e and e["_PID"] != "1"]
    assert bare == []


def test_a_camera_that_never_delivers_leaves_the_service_up_and_disengaged(
    service: SystemdMachine,
) -> None:
    config = service.root / CONFIG
    good = config.read_text()
    config.write_text(good.replace("index_or_path: '/srv/actd/v.avi'", "index_or_path: 63", 1))
    service.systemctl("start", "--no-block", "actd")
    wait_until(lambda: service.show("actd", "ActiveState") == "active", "the daemon", 150)
    try:
        assert service.show("actd", "NRestarts") == "0"
        assert service.show("actd", "StatusText").startswith("not ready; IDLE")
        assert "cam_high FAILED" in service.show("actd", "StatusText")
        (not_ready,) = entries(service, "ACTD_EVENT=not-ready")
        assert not_ready["PRIORITY"] == "4"
        assert entries(service, "ACTD_EVENT=camera-failed", "ACTD_CAMERA=cam_high")
        answer = status(service)
        assert (answer["ready"], answer["mode"]) == (False, "IDLE")
        refused = actd(service, "arm", "-c", "/etc/actd/actd.yaml")
        assert refused.returncode == 1
        assert "camera cam_high has not delivered anything yet" in refused.stderr
    finally:
        config.write_text(good)
        service.systemctl("stop", "actd")
    assert service.show("actd", "Result") == "success"


def test_a_bad_configuration_is_not_retried(service: SystemdMachine) -> None:
    config = service.root / CONFIG
    good = config.read_text()
    config.write_text(good.replace("robot:", "robbot:"))
    service.systemctl("start", "actd", check=False)
    time.sleep(3)  # longer than RestartSec
    assert service.show("actd", "ExecMainStatus") == "78"
    assert service.show("actd", "ActiveState") == "failed"
    assert service.show("actd", "NRestarts") == "0"
    failure = entries(service, "ACTD_EVENT=daemon-failed")[-1]
    assert "did you mean robot?" in failure["MESSAGE"]
    assert failure["PRIORITY"] == "3"
    done = actd(service, "service", "status")
    assert done.returncode == 1
    assert "did you mean robot?" in done.stderr
    config.write_text(good)
    service.systemctl("reset-failed", "actd")


def reload(machine: SystemdMachine) -> tuple[int, str]:
    """Exit status of `systemctl reload`, and what it added to the journal."""
    before = machine.journal("actd")
    done = machine.run("systemctl", "reload", "actd")
    machine.run("journalctl", "--sync")
    return done.returncode, machine.journal("actd").removeprefix(before)


def reference_size(manifest: str) -> int:
    files = {file["name"]: file for file in json.loads(manifest)["files"]}
    return int(files["reference.npz"]["bytes"])


def with_other_reference(manifest: Path) -> str:
    """The manifest of the same engine, built again with another reference.npz, which is written."""
    reference = manifest.with_name("reference.npz")
    reference.write_bytes(reference.read_bytes() + b"again")
    content = json.loads(manifest.read_text())
    (file,) = (file for file in content["files"] if file["name"] == reference.name)
    file["bytes"] = reference.stat().st_size
    file["sha256"] = hashlib.sha256(reference.read_bytes()).hexdigest()
    return json.dumps(content)


def test_reload_says_what_a_running_daemon_does_not_take_over(running: SystemdMachine) -> None:
    config = running.root / CONFIG
    good, pid = config.read_text(), running.show("actd", "MainPID")
    code, said = reload(running)
    assert code == 0
    assert "correct, and fits /srv/actd/engine; the daemon runs with it" in said
    changes = {
        good.replace("velocity: 3", "velocity: 2", 1): "changed since the daemon started: "
        "robot.joints.j0.velocity; none of it",
        good.replace("robot:", "robbot:"): "did you mean robot?",
        good + "\nflight: {max_mb: 64}\n": "flight.max_mb; none of it",
    }
    for text, words in changes.items():
        config.write_text(text)
        code, said = reload(running)
        assert code == 1
        assert words in said
        done = actd(running, "service", "status")
        assert (done.returncode, words in done.stderr) == (1, True)
    config.write_text(good)
    manifest = running.root / "srv/actd/engine/manifest.json"
    engine = manifest.read_text()
    manifest.write_text(with_other_reference(manifest))
    code, said = reload(running)
    assert (code, "the files of the engine; none of it" in said) == (1, True), said
    manifest.write_text(engine)
    os.truncate(manifest.with_name("reference.npz"), reference_size(engine))
    assert reload(running)[0] == 0
    assert running.show("actd", "MainPID") == pid
    assert running.show("actd", "ActiveState") == "active"


def test_reload_leaves_an_arm_that_moves_alone(running: SystemdMachine) -> None:
    told = arm_and(running, "moving", "ARMED", "systemctl", "reload", "actd")
    assert told["seen"] == ["ARMED"]
    assert told["status"] == 0


def test_an_upgrade_keeps_configuration_and_drop_ins(running: SystemdMachine) -> None:
    unit = running.root / "etc/systemd/system/actd.service"
    shipped, config = unit.read_text(), (running.root / CONFIG).read_text()
    unit.write_text(shipped.replace("WatchdogSec=5", "WatchdogSec=50"))
    override = unit.with_name("actd.service.d") / "override.conf"
    override.write_text("[Service]\nEnvironment=SITE=lab\n")
    done = actd(running, "service", "status")
    assert done.returncode == 1
    assert "installed otherwise than this actd would" in done.stderr
    done = actd(running, "service", "install")
    assert "replace /etc/systemd/system/actd.service" in done.stdout
    assert "next: sudo systemctl restart actd.service" in done.stdout
    assert (unit.read_text(), (running.root / CONFIG).read_text()) == (shipped, config)
    assert "SITE=lab" in running.show("actd", "Environment")
    running.systemctl("restart", "actd")
    assert running.show("actd", "WatchdogUSec") == "5s"
    override.unlink()


def test_two_robots_on_one_computer(service: SystemdMachine) -> None:
    text = (service.root / CONFIG).read_text()
    right = text.replace("test-robot", "right-robot")
    for number in (9871, 9872, 9873, 9874, 9875):
        right = right.replace(str(number), str(number + 100))
    for name, words in {"left": text, "right": text}.items():
        (service.root / f"etc/actd/{name}.yaml").write_text(words)
        done = actd(service, "service", "install", "--name", name)
        assert done.returncode == 0, done.stderr
    assert "ports 9871, 9872, 9873, 9874, 9875 are those of /etc/actd/left" in done.stderr
    assert "robot.name test-robot is that of /etc/actd/left.yaml too" in done.stderr
    (service.root / "etc/actd/right.yaml").write_text(right)
    run_from_source(service, "actd@.service")
    service.systemctl("start", "actd@left", "actd@right")
    for name, robot in {"left": "test-robot", "right": "right-robot"}.items():
        answer = actd(service, "status", "--json", "-c", f"/etc/actd/{name}.yaml").stdout
        assert json.loads(answer)["robot"] == robot
        assert (service.root / f"var/lib/actd-{name}/flights").is_dir()
    told = arm_and(service, "moving", "ARMED", "systemctl", "stop", "actd@right")
    assert told["seen"] == ["ARMED"]
    assert service.show("actd@right", "ActiveState") == "inactive"
    service.systemctl("stop", "actd@left")
    for name in ("left", "right"):
        assert actd(service, "service", "uninstall", "--name", name, "--purge").returncode == 0
    assert service.show("actd@left", "LoadState") == "not-found"
    assert (service.root / CONFIG).exists()


def test_after_a_power_cut_it_comes_up_by_itself_and_disengaged(
    running: SystemdMachine, tmp_path: Path
) -> None:
    running.save_disk(tmp_path / "rebooted.tar")
    (tmp_path / "rebooted").mkdir()
    try:
        with booted(tmp_path / "rebooted") as machine:
            wait_until(lambda: machine.show("actd", "ActiveState") == "active", "the daemon", 40)
            assert status(machine)["mode"] == "IDLE"
            assert machine.show("actd", "NRestarts") == "0"
    except CannotBoot as reason:
        pytest.fail(str(reason))
