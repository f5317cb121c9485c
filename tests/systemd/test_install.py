"""`actd service install` and `uninstall` on a real computer: what they change, and what is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import pytest

from tests.systemd.conftest import PYTHON, actd
from tests.systemd.machine import SOURCE, SystemdMachine

pytestmark = pytest.mark.systemd

# What actd could change; the dashed files are the backups that useradd makes, and the folders those
# that every computer with udev has.
WATCHED = ("etc/**/*", "var/lib/actd*/**/*", "var/*/actd*", "srv/**/*", "dev/*")
SHARED = {"etc/udev", "etc/udev/rules.d"}
BACKUPS = {f"etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")}


def disk(machine: SystemdMachine, patterns: Iterable[str] = WATCHED) -> dict[str, str]:
    """Every file, folder and link that actd could change, with what is in it and whose it is."""

    def entries() -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            for path in machine.root.glob(pattern):
                name = str(path.relative_to(machine.root))
                facts = path.lstat()
                content = ""
                if path.is_symlink():
                    content = str(path.readlink())
                elif path.is_file():
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
                yield name, f"{facts.st_mode:o} {facts.st_uid} {facts.st_gid} {content}"

    return {name: facts for name, facts in entries() if name not in BACKUPS}


def difference(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_everything_that_install_makes_is_announced_made_once_and_taken_away(
    systemd_machine: SystemdMachine,
) -> None:
    machine = systemd_machine
    before = disk(machine)

    dry = actd(machine, "service", "install", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert difference(before, disk(machine)) == set()
    announced = [line for line in dry.stdout.splitlines() if line.startswith("would ")]
    assert "    +RestrictRealtime=no" in dry.stdout.splitlines()

    done = actd(machine, "service", "install")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [f"would {line}" for line in lines[:-1]] == announced
    assert lines[-1] == "next: mend that, then sudo systemctl start actd.service"
    assert "/etc/actd/actd.yaml: no such file; put the configuration" in done.stderr
    made = {path for path in difference(before, disk(machine)) if "systemd" in path}
    assert "etc/systemd/system/multi-user.target.wants/actd.service" in made
    assert "video" in machine.run("id", "actd").stdout

    present = disk(machine)
    again = actd(machine, "service", "install")
    assert again.stdout.startswith("actd.service: installed already; nothing to do\n")
    assert difference(present, disk(machine)) == set()

    gone = actd(machine, "service", "uninstall")
    assert gone.returncode == 0, gone.stderr
    assert difference(before, disk(machine)) <= SHARED
    again = actd(machine, "service", "uninstall")
    assert again.stdout == "actd.service: not installed; nothing to do\n"
    status = actd(machine, "service", "status")
    assert status.returncode == 1
    assert status.stderr == (
        "actd.service: not installed; run: sudo /opt/actd/bin/actd service install\n"
    )


def test_configuration_recordings_and_drop_ins_stay_until_they_are_purged(
    systemd_machine: SystemdMachine,
) -> None:
    machine = systemd_machine
    before = disk(machine)
    assert actd(machine, "service", "install").returncode == 0
    override = machine.root / "etc/systemd/system/actd.service.d/override.conf"
    override.write_text("[Service]\nNice=5\n")
    config = machine.root / "etc/actd/actd.yaml"
    config.write_text("engine: nowhere\n")
    config.chmod(0o600)  # not for the service's user
    status = actd(machine, "service", "status")
    assert status.returncode == 1
    assert "/etc/actd/actd.yaml: cannot be read: [Errno 13] Permission denied" in status.stderr
    config.chmod(0o644)
    # exits 78, but has made its folders
    machine.systemctl("start", "actd", check=False)
    flight = machine.root / "var/lib/actd/flights/run"
    machine.run("setpriv", "--reuid", "actd", "mkdir", "-p", "/var/lib/actd/flights/run")
    assert flight.stat().st_uid != 0

    gone = actd(machine, "service", "uninstall")
    assert gone.stdout.splitlines()[-1] == (
        "kept: /etc/actd/actd.yaml, /var/lib/actd (--purge removes them)"
    )
    kept = difference(before, disk(machine))
    assert {"etc/actd/actd.yaml", "var/lib/actd/flights/run"} <= kept
    assert str(override.relative_to(machine.root)) in kept
    assert flight.stat().st_uid == 0
    assert machine.run("id", "actd").returncode != 0

    # an installation that comes later has the recordings again
    assert actd(machine, "service", "install").returncode == 0
    machine.systemctl("start", "actd", check=False)
    assert flight.stat().st_uid != 0

    gone = actd(machine, "service", "uninstall", "--purge")
    assert gone.returncode == 0, gone.stderr
    assert "kept" not in gone.stdout
    assert difference(before, disk(machine)) <= SHARED


def test_only_root_may_and_anyone_may_look(systemd_machine: SystemdMachine) -> None:
    machine = systemd_machine
    as_nobody = ("setpriv", "--reuid", "65534", "--clear-groups")
    command = (*as_nobody, "env", f"PYTHONPATH={SOURCE}", PYTHON, "-m", "actd", "service")
    done = machine.run(*command, "install", "--name", "left")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "actd service: only root may; run: sudo /opt/actd/bin/actd service install --name left\n"
    )
    assert machine.run(*command, "install", "--dry-run").returncode == 0


def test_a_unit_of_somebody_else_is_left_alone(systemd_machine: SystemdMachine) -> None:
    machine = systemd_machine
    unit = machine.root / "etc/systemd/system/actd.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    before = disk(machine)
    done = actd(machine, "service", "install")
    assert done.returncode == 1
    assert "/etc/systemd/system/actd.service: not written by actd; move it away" in done.stderr
    assert actd(machine, "service", "uninstall").stdout.startswith("actd.service: not installed")
    assert difference(before, disk(machine)) == set()
    unit.unlink()


def test_what_the_system_refuses_is_one_line_and_can_be_repeated(
    systemd_machine: SystemdMachine,
) -> None:
    machine = systemd_machine
    wants = machine.root / "etc/systemd/system/multi-user.target.wants"
    wants.write_text("")  # not a folder
    done = actd(machine, "service", "install")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("run systemctl enable actd.service: ")
    assert done.stderr.endswith("; mend that and repeat\n")
    wants.unlink()
    done = actd(machine, "service", "install")
    assert done.stdout.splitlines()[0] == "run systemctl enable actd.service"
    assert actd(machine, "service", "uninstall", "--purge").returncode == 0
