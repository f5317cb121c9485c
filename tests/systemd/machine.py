"""A private systemd for one test module: boots it, enters it, takes it away.

Owns a cgroup, a state folder and the process tree of `boot.sh`. Reads
/proc/mounts. What cannot be booted here (no root, no cgroup2, no unshare)
raises CannotBoot with the reason, which the fixture turns into a skip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[2]
# Where repository, interpreter and packages lie inside: a service sees neither /tmp nor /home nor
# /root, where they may lie outside.
SOURCE = Path("/opt/src")
INTERPRETER = Path("/opt/python")
VENV = Path("/opt/actd")
DEBS = Path("/opt/debs")
PACKAGES = VENV / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
BOOT_TIMEOUT_S = 30.0
NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd")


class CannotBoot(Exception):
    """This machine cannot run a private systemd; the message says why."""


@dataclass(frozen=True, slots=True)
class SystemdMachine:
    """A booted systemd. Inside are the repository as SOURCE and an installed actd as VENV."""

    pid: int
    state: Path

    @property
    def root(self) -> Path:
        """The machine's file system as seen from outside; writing there is putting files in."""
        return Path(f"/proc/{self.pid}/root")

    def run(self, *command: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root; the caller reads `returncode`, `stdout` and `stderr`."""
        enter = ["nsenter", "--target", str(self.pid), *NAMESPACES, "--"]
        return subprocess.run(
            [*enter, *command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def systemctl(self, *args: str, check: bool = True) -> str:
        """stdout of `systemctl ARGS`; with `check`, a failure raises with all it printed."""
        done = self.run("systemctl", "--no-pager", *args)
        if check and done.returncode != 0:
            said = done.stdout + done.stderr + self.journal()
            raise RuntimeError(f"systemctl {' '.join(args)}: exit {done.returncode}\n{said}")
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, such as `ActiveState`."""
        return self.systemctl("show", unit, "--property", name, "--value").strip()

    def install_unit(self, name: str, text: str) -> None:
        """Write a unit (or a drop-in, `x.service.d/y.conf`) and reload."""
        path = self.root / "run/systemd/system" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.systemctl("daemon-reload")

    def save_disk(self, path: Path) -> None:
        """Write the disk as it is at this moment to a tar file, as a power cut would leave it."""
        # without --root: the disk's folder is outside of the machine's own file system
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--"]
        pack = ["tar", "--create", "--xattrs", "--xattrs-include=*", "--file=-"]
        with path.open("wb") as stream:
            done = subprocess.run(
                [*enter, *pack, "--directory", self.state / "upper", "."],
                stdout=stream,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        if done.returncode > 1:  # 1: a file changed meanwhile, as a power cut finds it
            raise RuntimeError(done.stderr)

    def journal(self, unit: str | None = None) -> str:
        """The journal so far, of one unit or of everything."""
        of_unit = ("--unit", unit) if unit else ()
        return self.run("journalctl", "--no-pager", "--output", "cat", *of_unit).stdout


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Poll until `condition` holds; TimeoutError names `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(0.05)


@contextmanager
def booted(state: Path, debs: Path | None = None) -> Iterator[SystemdMachine]:
    """A running machine with `state` (an empty folder) as its backing; gone afterwards.

    `state`.tar, where there is one, is a disk that `save_disk` wrote. `debs`: a folder of packages
    that is DEBS inside; no actd is installed then.
    """
    cgroup = _new_cgroup()
    packages = sysconfig.get_path("purelib")
    keep = [f"{REPO}:{SOURCE}"]
    if debs is None:
        keep += [f"{sys.base_prefix}:{INTERPRETER}", f"{packages}:{PACKAGES}"]
    else:
        keep += [f"{debs}:{DEBS}"]
    log = state.with_suffix(".log")
    with log.open("w") as stream:
        boot = subprocess.Popen(
            [Path(__file__).with_name("boot.sh"), cgroup, state, *keep],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=os.environ | {"VENDOR_UNITS": "no" if debs is None else "yes"},
        )
    try:
        machine = _wait_for_boot(boot, log, state)
        if debs is None:
            _install_actd(machine)
        yield machine
    finally:
        boot.kill()  # unshare runs with --kill-child: its systemd and all below it die too
        boot.wait()
        wait_until(lambda: _is_empty(cgroup), f"end of the processes in {cgroup}")
        for folder, _, _ in os.walk(cgroup, topdown=False):
            Path(folder).rmdir()


def _install_actd(machine: SystemdMachine) -> None:
    """What `python -m venv` and pip make beside the packages, for the interpreter inside."""
    root = machine.root
    if (root / VENV.relative_to("/") / "bin").exists():
        return  # booted from a disk that has it
    python = f"{INTERPRETER}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    venv = root / VENV.relative_to("/")
    (venv / "pyvenv.cfg").write_text(f"home = {INTERPRETER}/bin\n")
    (venv / "bin").mkdir()
    (venv / "bin/python").symlink_to(python)
    command = venv / "bin/actd"
    command.write_text(f"#!{VENV}/bin/python\nfrom actd.__main__ import main\nmain()\n")
    command.chmod(0o755)
    # An interpreter that is built to find its library where it lay outside.
    (root / "etc/ld.so.conf.d/0-actd.conf").write_text(f"{INTERPRETER}/lib\n")
    machine.run("ldconfig")


def _new_cgroup() -> Path:
    missing = [tool for tool in ("unshare", "nsenter", "systemctl") if not shutil.which(tool)]
    if os.geteuid() != 0:
        raise CannotBoot("needs root")
    if missing:
        raise CannotBoot(f"needs {', '.join(missing)} (apt-get install systemd util-linux)")
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"]
    if not roots:
        raise CannotBoot("needs a mounted cgroup2")
    cgroup = roots[0] / f"actd-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        cgroup.mkdir()
    except OSError as error:
        raise CannotBoot(f"cannot make {cgroup}: {error.strerror}") from error
    return cgroup


def _is_empty(cgroup: Path) -> bool:
    return "populated 0" in (cgroup / "cgroup.events").read_text()


def _wait_for_boot(boot: subprocess.Popen[bytes], log: Path, state: Path) -> SystemdMachine:
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while boot.poll() is None and time.monotonic() < deadline:
        children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            machine = SystemdMachine(int(children[0]), state)
            if machine.run("systemctl", "is-system-running").stdout.strip() == "running":
                return machine
        time.sleep(0.05)
    raise CannotBoot(f"the private systemd did not come up: {log.read_text().strip() or 'silent'}")
