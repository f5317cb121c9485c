"""The shipped unit file: its sandbox lets realtime through, and its restart rules hold."""

from __future__ import annotations

import pytest

from tests.systemd.machine import REPO, SOURCE, VENV, SystemdMachine, wait_until

pytestmark = pytest.mark.systemd

UNIT = (REPO / "systemd/actd.service").read_text()

# Each ends with 0 only when what a robot needs is allowed; its last line says what was not.
FOLDERS = """
import os
if os.geteuid() == 0:
    raise SystemExit("runs as root")
for folder in ("/dev/shm", "/run/actd", "/var/lib/actd", "/tmp"):
    open(folder + "/probe", "w").close()
    os.unlink(folder + "/probe")
"""
REALTIME = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.mlockall(3) != 0:
    raise SystemExit("mlockall: " + os.strerror(ctypes.get_errno()))
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(80))
"""


def as_shipped(machine: SystemdMachine, name: str, exec_start: str, kind: str = "notify") -> None:
    """Install the shipped unit as `name` with only its command line (and type) replaced."""
    machine.install_unit(f"{name}.service", UNIT)
    machine.install_unit(
        f"{name}.service.d/command.conf",
        f"[Service]\nType={kind}\nEnvironment=PYTHONPATH={SOURCE}\nExecStart=\n"
        f"ExecStart={VENV}/bin/python {exec_start}\n",
    )


def beacon(life: str) -> str:
    return f"{SOURCE}/tests/systemd/beacon.py {life}"


def test_systemd_finds_nothing_to_say_about_it(systemd_machine: SystemdMachine) -> None:
    as_shipped(systemd_machine, "actd", beacon("steady"))
    done = systemd_machine.run("systemd-analyze", "verify", "--man=no", "actd.service")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_starts_and_stops_clean(systemd_machine: SystemdMachine) -> None:
    as_shipped(systemd_machine, "good", beacon("steady"))
    systemd_machine.systemctl("start", "good")
    assert 'Status: "beacon is steady"' in systemd_machine.systemctl("status", "good")
    systemd_machine.systemctl("stop", "good")
    assert systemd_machine.show("good", "Result") == "success"


def run_once(machine: SystemdMachine, name: str, script: str) -> str:
    """Run `script` under the shipped unit; `Result`, which is `success` for exit 0."""
    (machine.root / f"opt/{name}.py").write_text(script)
    as_shipped(machine, name, f"/opt/{name}.py", kind="oneshot")
    machine.install_unit(f"{name}.service.d/once.conf", "[Service]\nRestart=no\n")
    machine.systemctl("start", name, check=False)
    return machine.show(name, "Result")


def test_its_user_may_write_where_it_must(systemd_machine: SystemdMachine) -> None:
    result = run_once(systemd_machine, "folders", FOLDERS)
    assert result == "success", systemd_machine.journal("folders")


def test_its_user_may_be_realtime(systemd_machine: SystemdMachine) -> None:
    raised = systemd_machine.run("prlimit", "--rtprio=80", "--memlock=unlimited", "true")
    if raised.returncode != 0:
        pytest.skip("this machine's root may not raise limits (no CAP_SYS_RESOURCE)")
    result = run_once(systemd_machine, "realtime", REALTIME)
    assert result == "success", systemd_machine.journal("realtime")


@pytest.mark.parametrize(("status", "restarts"), [(78, False), (2, False), (1, True)])
def test_only_what_may_mend_itself_restarts(
    systemd_machine: SystemdMachine, status: int, restarts: bool
) -> None:
    name = f"exit{status}"
    as_shipped(systemd_machine, name, beacon(str(status)))
    systemd_machine.systemctl("start", name, check=False)
    settled = {"activating"} if restarts else {"failed"}
    wait_until(lambda: systemd_machine.show(name, "ActiveState") in settled, f"end of {name}")
    assert systemd_machine.show(name, "ExecMainStatus") == str(status)
    systemd_machine.systemctl("stop", name)
