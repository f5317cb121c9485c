"""What is read of a computer, from a folder that stands for its disk."""

from __future__ import annotations

from pathlib import Path

from actd.service import Service, install, installed, read_machine
from actd.service.changes import Write, apply
from actd.service.layout import CONFIGS, RULE, VENDOR, files

COMMAND = Path("/opt/actd/bin/actd")


def test_an_empty_computer(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert not machine.booted
    assert not machine.udev
    assert (machine.files, machine.links, machine.paths) == ({}, frozenset(), frozenset())


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    services = (Service(), Service("left"))
    for service in services:
        for path, text in files(service, COMMAND).items():
            apply([Write(tmp_path / path.relative_to("/"), text)])
        link = tmp_path / service.start_link.relative_to("/")
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(service.unit_file)  # leads nowhere here, as outside of a chroot
    foreign = tmp_path / "etc/systemd/system/actd.service.d/override.conf"
    foreign.write_bytes(b"[Service]\n# \xff\n")
    for path in ("etc/actd/left.yaml", "var/lib/actd-left/flights/run.json", "var/cache/actd/x"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("")
    machine = read_machine(tmp_path)
    assert installed(machine) == services
    assert RULE in machine.files
    assert Service().drop_ins / "override.conf" in machine.files
    assert machine.paths == {
        CONFIGS, CONFIGS / "left.yaml", Service("left").state, Service().cache
    }  # fmt: skip
    for service in services:
        left = install(service, machine, files(service, COMMAND))
        assert not [change for change in left if isinstance(change, Write)]


def test_a_packages_service_counts_once_it_is_used(tmp_path: Path) -> None:
    unit = tmp_path / VENDOR.relative_to("/") / "actd.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("# From the Debian package actd\n")
    machine = read_machine(tmp_path)
    assert machine.packaged
    assert installed(machine) == ()
    config = tmp_path / "etc/actd/actd.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("")
    link = tmp_path / Service("left").start_link.relative_to("/")
    link.parent.mkdir(parents=True)
    link.symlink_to(VENDOR / "actd@.service")
    assert installed(read_machine(tmp_path)) == (Service(), Service("left"))
