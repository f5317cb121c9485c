"""The Debian package on a computer with systemd: installed, started, upgraded, removed, purged.

The tests are the life of one package: each needs those before it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actd.service.layout import HEADER, VENDOR
from tests.systemd.conftest import PYTHON, deploy
from tests.systemd.machine import DEBS, REPO, SOURCE, CannotBoot, SystemdMachine, booted
from tests.systemd.test_install import difference, disk

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(900)]

WATCHED = (
    "etc/**/*",
    "opt/*",
    "run/actd*",
    "usr/bin/*",
    "usr/lib/systemd/**/*",
    "usr/lib/sysusers.d/*",
    "usr/lib/udev/**/*",
    "usr/share/doc/actd*",
    "usr/share/lintian/overrides/*",
    "var/cache/actd*",
    "var/lib/actd*",
    "var/lib/systemd/**/*",
)
# What the system itself keeps of packages that came and went.
OF_THE_SYSTEM = {"etc/ld.so.cache"}
NEWER = "99.0"
CONFIG = "etc/actd/actd.yaml"


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old.deb` is this repository's package, `new.deb` the same with a higher version."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("no Debian packages are built here")
    folder = tmp_path_factory.mktemp("debs")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "COMPRESSION": "none", "HOME": "/root"}
    built = subprocess.run(
        [REPO / "scripts/make-deb", folder],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    old = Path(built.stdout.splitlines()[-1]).rename(folder / "old.deb")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", old, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text(
        "".join(f"Version: {NEWER}\n" if line.startswith("Version:") else line for line in lines)
    )
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, folder / "new.deb"], check=True)
    shutil.rmtree(tree)
    return folder


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, debs: Path) -> Iterator[SystemdMachine]:
    try:
        with booted(tmp_path_factory.mktemp("machine"), debs) as one:
            yield one
    except CannotBoot as reason:
        pytest.skip(f"no private systemd: {reason}")


def run(machine: SystemdMachine, *words: str) -> subprocess.CompletedProcess[str]:
    """A package of a gigabyte takes its time."""
    return machine.run(*words, timeout_s=600)


def apt(machine: SystemdMachine, *words: str) -> subprocess.CompletedProcess[str]:
    options = ("--yes", "--option=Dpkg::Options::=--force-unsafe-io")
    return run(machine, "apt-get", *options, *words)


def dpkg(machine: SystemdMachine, name: str) -> subprocess.CompletedProcess[str]:
    """As apt-get, which computes four hashes of it first."""
    return run(machine, "dpkg", "--force-unsafe-io", "--install", f"{DEBS}/{name}")


def version(machine: SystemdMachine) -> str:
    return run(machine, "dpkg-query", "--show", "--showformat=${Version}", "actd").stdout


def refused_by_preinst(machine: SystemdMachine) -> str:
    done = dpkg(machine, "old.deb")
    assert done.returncode != 0
    assert version(machine) == ""
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def before(machine: SystemdMachine) -> dict[str, str]:
    """The disk before anything was installed."""
    return disk(machine, WATCHED)


def test_it_does_not_lie_over_an_actd_that_came_another_way(
    machine: SystemdMachine, before: dict[str, str]
) -> None:
    (machine.root / "opt/actd").mkdir()
    told = refused_by_preinst(machine)
    assert "actd: /opt/actd is there and not from this package; move it away first" in told
    (machine.root / "opt/actd").rmdir()
    unit = machine.root / "etc/systemd/system/actd@.service"
    unit.write_text(f"{HEADER}, which replaces this file.\n")
    told = refused_by_preinst(machine)
    assert "actd@.service is from `actd service install`; take it away first" in told
    unit.unlink()
    assert difference(before, disk(machine, WATCHED)) == set()


def test_it_brings_program_service_and_account(machine: SystemdMachine) -> None:
    done = apt(machine, "install", f"{DEBS}/old.deb")
    assert done.returncode == 0, done.stderr
    assert "actd: next: the robot's configuration as /etc/actd/actd.yaml" in done.stdout
    assert run(machine, "actd", "--version").returncode == 0
    assert machine.systemctl("is-enabled", "actd") == "enabled\n"
    assert machine.show("actd", "ActiveState") == "inactive"
    assert "video" in run(machine, "id", "actd").stdout
    assert run(machine, "dpkg", "--verify", "actd").stdout == ""
    unit = f"{VENDOR}/actd.service"
    verified = run(machine, "systemd-analyze", "verify", "--man=no", unit)
    assert (verified.returncode, verified.stderr) == (0, "")
    libraries = "import av, cv2, matplotlib, onnxruntime, openvino, pyarrow, uvloop, zmq"
    loaded = run(machine, PYTHON, "-c", libraries)
    assert loaded.returncode == 0, loaded.stderr


def test_its_service_starts(machine: SystemdMachine, small_engine: Path) -> None:
    refused = run(machine, "actd", "service", "install", "--name", "left")
    assert refused.stderr == (
        "actd service: the units are of the Debian package actd; run: sudo systemctl enable --now "
        "actd@left.service\n"
    )
    override = machine.root / "etc/systemd/system/actd.service.d/override.conf"
    override.parent.mkdir()
    override.write_text("[Service]\nNice=5\n")
    deploy(machine, small_engine)
    machine.systemctl("daemon-reload")
    assert run(machine, "systemctl", "start", "actd").returncode == 0
    status = run(machine, "actd", "service", "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert status.stdout.startswith("actd.service: active, process ")


def test_an_upgrade_waits_for_an_arm_that_moves(machine: SystemdMachine) -> None:
    pid, old = machine.show("actd", "MainPID"), version(machine)
    upgrade = f"dpkg -i {DEBS}/new.deb >/run/upgrade 2>&1; echo $? >>/run/upgrade"
    words = ("test-robot", "9871", "moving", "STOP", "sh", "-c", f"{upgrade}; actd stop >/dev/null")
    heard = run(machine, PYTHON, f"{SOURCE}/tests/systemd/arm.py", *words)
    assert heard.returncode == 0, heard.stderr
    told = (machine.root / "run/upgrade").read_text()
    modes = json.loads(heard.stdout)["seen"]
    assert (modes[0], modes[-1]) == ("ARMED", "STOP"), told
    # what a busy computer does to an arm is not the package's; an end would be IDLE or a STOP more
    assert (modes.count("IDLE"), modes.count("STOP")) == (0, 1), told
    assert "actd.service: the arm is engaged (" in told
    assert told.splitlines()[-1] == "1"
    # STOP is an operator's, and no package ends it
    for refused in (dpkg(machine, "new.deb"), apt(machine, "purge", "actd")):
        assert refused.returncode != 0
        assert "the arm is engaged (STOP)" in refused.stdout + refused.stderr
        assert (machine.show("actd", "MainPID"), version(machine)) == (pid, old)
    (machine.root / "run/upgrade").unlink()


def test_an_upgrade_restarts_what_is_disengaged_and_keeps_its_configuration(
    machine: SystemdMachine,
) -> None:
    pid = machine.show("actd", "MainPID")
    config = (machine.root / CONFIG).read_text()
    assert run(machine, "actd", "reset").returncode == 0
    done = dpkg(machine, "new.deb")
    assert done.returncode == 0, done.stderr
    assert "actd: actd.service starts again, disengaged" in done.stdout
    assert version(machine) == NEWER
    assert run(machine, "systemctl", "start", "actd").returncode == 0  # returns when it is ready
    assert machine.show("actd", "MainPID") not in ("0", pid)
    assert json.loads(run(machine, "actd", "status", "--json").stdout)["mode"] == "IDLE"
    assert (machine.root / CONFIG).read_text() == config
    assert machine.show("actd", "Nice") == "5"


def test_what_somebody_stopped_and_disabled_stays_so(machine: SystemdMachine) -> None:
    machine.systemctl("disable", "--now", "actd")
    done = dpkg(machine, "new.deb")
    assert done.returncode == 0, done.stderr
    assert machine.systemctl("is-enabled", "actd", check=False) == "disabled\n"
    assert machine.show("actd", "ActiveState") == "inactive"


def test_remove_keeps_what_is_the_operators_and_purge_keeps_nothing(
    machine: SystemdMachine, before: dict[str, str]
) -> None:
    done = apt(machine, "remove", "actd")
    assert done.returncode == 0, done.stderr
    kept = difference(before, disk(machine, WATCHED))
    assert {CONFIG, "var/lib/actd", "etc/systemd/system/actd.service.d"} <= kept
    assert not {"opt/actd", "usr/bin/actd", "var/cache/actd"} & kept
    done = apt(machine, "purge", "actd")
    assert done.returncode == 0, done.stderr
    left = difference(before, disk(machine, WATCHED)) - OF_THE_SYSTEM
    assert left == set()
    assert run(machine, "id", "actd").returncode != 0
