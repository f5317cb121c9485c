"""The shipped unit file: its sandbox lets realtime through, and its restart rules hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.systemd.conftest import actd
from tests.systemd.machine import SOURCE, VENV, SystemdMachine, wait_until

pytestmark = pytest.mark.systemd

UNITS = "etc/systemd/system"
# Of the exposure that systemd-analyze counts, in tenths.
EXPOSURE = 25

# Each ends with 0 only when what a robot needs is allowed; its last line says what was not.
FOLDERS = """
import os
if os.geteuid() == 0:
    raise SystemExit("runs as root")
for folder in ("/dev/shm", "/var/lib/actd", "/var/cache/actd", "/tmp"):
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
DMA_LATENCY = """
import os
fd = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
os.write(fd, bytes(4))
"""
COMPILED = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
called = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)  # libffi writes a trampoline
if called() != 7:
    raise SystemExit("callback")
"""
LINK = """
import os, zmq
context = zmq.Context()
server, client = context.socket(zmq.REP), context.socket(zmq.REQ)
port = server.bind_to_random_port("tcp://127.0.0.1")
client.connect(f"tcp://127.0.0.1:{port}")
client.send(b"?")
server.send(server.recv())
client.recv()
os.memfd_create("ring")
"""
SHUT = """
import ctypes, errno, os, socket
def refused(attempt, *numbers):
    try:
        attempt()
    except OSError as error:
        if error.errno not in numbers:
            raise
    else:
        raise SystemExit(f"allowed: {attempt}")
refused(lambda: os.mkdir("/etc/probe"), errno.EROFS)
refused(lambda: open("/dev/hwrng", "rb"), errno.EPERM)
refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW), errno.EAFNOSUPPORT, errno.EPERM)
refused(lambda: os.chown("/tmp", 0, 0), errno.EPERM)
refused(lambda: os.listdir("/home"), errno.EACCES)
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) == 0:
    raise SystemExit("a user namespace")
"""


def as_shipped(machine: SystemdMachine, name: str, exec_start: str, kind: str = "notify") -> None:
    """Copy the installed unit to `name`, with only its command line (and type) replaced."""
    for path in [machine.root / UNITS / "actd.service", *drop_ins(machine)]:
        copy = str(path.relative_to(machine.root / UNITS)).replace(
            "actd.service", f"{name}.service"
        )
        machine.install_unit(copy, path.read_text())
    machine.install_unit(
        f"{name}.service.d/zz-command.conf",
        f"[Service]\nType={kind}\nEnvironment=PYTHONPATH={SOURCE}\nExecStart=\n"
        f"ExecStart={VENV}/bin/python {exec_start}\n",
    )


def drop_ins(machine: SystemdMachine) -> list[Path]:
    return sorted((machine.root / UNITS / "actd.service.d").glob("*.conf"))


def beacon(life: str) -> str:
    return f"{SOURCE}/tests/systemd/beacon.py {life}"


@pytest.mark.parametrize("unit", ["actd.service", "actd@left.service"])
def test_systemd_finds_nothing_to_say_about_it(installed: SystemdMachine, unit: str) -> None:
    if unit != "actd.service":
        assert actd(installed, "service", "install", "--name", "left").returncode == 0
    done = installed.run("systemd-analyze", "verify", "--man=no", f"/{UNITS}/{unit}")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_exposes_less_than_the_bar(installed: SystemdMachine) -> None:
    """The unit with its drop-ins, as systemd reads them from the disk."""
    options = ("--offline=true", f"--threshold={EXPOSURE}")
    done = installed.run("systemd-analyze", "security", *options, "actd.service")
    assert done.returncode == 0, done.stdout
    assert "✗ RestrictRealtime=" in done.stdout  # it did read the drop-ins


def test_every_exception_has_its_reason(installed: SystemdMachine) -> None:
    names = [path.name for path in drop_ins(installed) if path.name != "source.conf"]
    assert names == [
        "cameras.conf", "engine.conf", "gpu.conf", "link.conf", "realtime.conf", "usb.conf"
    ]  # fmt: skip
    for path in drop_ins(installed):
        before, _, _ = path.read_text().partition("[Service]")
        comments = [line for line in before.splitlines() if line.startswith("# ")]
        assert path.name == "source.conf" or len(" ".join(comments[1:])) > 60, path


def test_it_starts_and_stops_clean(installed: SystemdMachine) -> None:
    as_shipped(installed, "good", beacon("steady"))
    installed.systemctl("start", "good")
    assert 'Status: "beacon is steady"' in installed.systemctl("status", "good")
    installed.systemctl("stop", "good")
    assert installed.show("good", "Result") == "success"


def run_once(machine: SystemdMachine, name: str, script: str) -> str:
    """Run `script` under the shipped unit; `Result`, which is `success` for exit 0."""
    (machine.root / f"opt/{name}.py").write_text(script)
    as_shipped(machine, name, f"/opt/{name}.py", kind="oneshot")
    machine.install_unit(f"{name}.service.d/once.conf", "[Service]\nRestart=no\n")
    machine.systemctl("start", name, check=False)
    return machine.show(name, "Result")


@pytest.mark.parametrize("name", ["folders", "compiled", "link"])
def test_its_user_may_do_what_the_daemon_does(installed: SystemdMachine, name: str) -> None:
    script = {"folders": FOLDERS, "compiled": COMPILED, "link": LINK}[name]
    assert run_once(installed, name, script) == "success", installed.journal(name)


def test_its_user_may_do_nothing_else(installed: SystemdMachine) -> None:
    # the computer's random generator: a device of no use to a robot, open to everyone here
    made = installed.run("mknod", "-m", "666", "/dev/hwrng", "c", "10", "183")
    assert made.returncode == 0, made.stderr
    assert run_once(installed, "shut", SHUT) == "success", installed.journal("shut")


def test_cameras_usb_and_gpus_are_open(installed: SystemdMachine) -> None:
    allowed = installed.show("actd", "DeviceAllow")
    for device in ("char-video4linux", "char-usb_device", "char-nvidia*", "char-drm"):
        assert f"{device} rw" in allowed


def test_its_user_may_be_realtime(installed: SystemdMachine) -> None:
    raised = installed.run("prlimit", "--rtprio=80", "--memlock=unlimited", "true")
    if raised.returncode != 0:
        pytest.skip("this machine's root may not raise limits (no CAP_SYS_RESOURCE)")
    result = run_once(installed, "realtime", REALTIME)
    assert result == "success", installed.journal("realtime")


def test_its_user_may_keep_the_cpu_awake_where_the_rule_has_been_applied(
    installed: SystemdMachine,
) -> None:
    """There is no udev in the machine: the test does what the rule says."""
    rule = (installed.root / "etc/udev/rules.d/70-actd.rules").read_text()
    assert 'KERNEL=="cpu_dma_latency"' in rule
    assert 'GROUP="actd", MODE="0660"' in rule
    assert run_once(installed, "latency-root", DMA_LATENCY) == "exit-code"
    installed.run("chgrp", "actd", "/dev/cpu_dma_latency")
    installed.run("chmod", "0660", "/dev/cpu_dma_latency")
    result = run_once(installed, "latency", DMA_LATENCY)
    assert result == "success", installed.journal("latency")


@pytest.mark.parametrize(("status", "restarts"), [(78, False), (2, False), (1, True)])
def test_only_what_may_mend_itself_restarts(
    installed: SystemdMachine, status: int, restarts: bool
) -> None:
    name = f"exit{status}"
    as_shipped(installed, name, beacon(str(status)))
    installed.systemctl("start", name, check=False)
    settled = {"activating"} if restarts else {"failed"}
    wait_until(lambda: installed.show(name, "ActiveState") in settled, f"end of {name}")
    assert installed.show(name, "ExecMainStatus") == str(status)
    installed.systemctl("stop", name)
