"""Which changes are planned: pure, on facts that are changed as the plan says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.errors import ActdError
from actd.service import Change, Machine, Service, install, installed, uninstall
from actd.service.changes import MakeFolder, Remove, Run, Write
from actd.service.layout import CONFIGS, RULE, UNITS
from actd.service.layout import files as read_files
from actd.service.machine import User

COMMAND = Path("/opt/actd/bin/actd")
files = cache(read_files)
EMPTY = Machine(
    booted=True,
    udev=True,
    dma_latency=True,
    files={},
    links=frozenset(),
    paths=frozenset(),
    user=None,
    groups=frozenset({"video", "dialout"}),
)
OVERRIDE = UNITS / "actd.service.d/override.conf"
NAMES = st.sampled_from(["", "left", "right"])


def carried_out(machine: Machine, changes: list[Change]) -> Machine:
    """The facts after the changes."""
    for change in changes:
        match change:
            case Write(path, text, before):
                assert machine.files.get(path) == before
                machine = replace(machine, files={**machine.files, path: text})
            case MakeFolder(path):
                machine = replace(machine, paths=machine.paths | {path})
            case Remove(path):
                left = {p: t for p, t in machine.files.items() if not p.is_relative_to(path)}
                paths = frozenset(p for p in machine.paths if not p.is_relative_to(path))
                machine = replace(machine, files=left, paths=paths)
            case Run(("systemctl", "enable", unit)):
                machine = replace(machine, links=machine.links | {unit})
            case Run(("systemctl", "disable", "--now", unit)):
                machine = replace(machine, links=machine.links - {unit})
            case Run(("useradd", *words)):
                assert machine.user is None
                groups = frozenset(words[words.index("--groups") + 1].split(","))
                machine = replace(machine, user=User(words[words.index("--comment") + 1], groups))
            case Run(("usermod", "--append", "--groups", groups, "actd")):
                assert machine.user is not None
                both = machine.user.groups | set(groups.split(","))
                machine = replace(machine, user=replace(machine.user, groups=both))
            case Run(("userdel", "actd")):
                assert machine.user is not None
                machine = replace(machine, user=None)
            case Run((command, *_)):
                assert command in {"systemctl", "udevadm", "chown"}
    return machine


def with_service(machine: Machine, name: str = "") -> Machine:
    service = Service(name)
    return carried_out(machine, install(service, machine, files(service, COMMAND)))


def without(machine: Machine, name: str = "", *, purge: bool = False) -> Machine:
    return carried_out(machine, uninstall(Service(name), machine, purge=purge))


@given(st.lists(NAMES, min_size=1), st.randoms())
def test_what_is_installed_can_be_taken_away_in_any_order(names: list[str], random: Random) -> None:
    machine = EMPTY
    for name in names:
        machine = with_service(machine, name)
        assert Service(name) in installed(machine)
        assert install(Service(name), machine, files(Service(name), COMMAND)) == []
    assert [one.name for one in installed(machine)] == sorted(set(names))
    order = list(dict.fromkeys(names))
    random.shuffle(order)
    for count, name in enumerate(order, start=1):
        machine = without(machine, name)
        assert uninstall(Service(name), machine) == []
        others = set(order[count:])
        assert {one.name for one in installed(machine)} == others
        for other in others:
            assert install(Service(other), machine, files(Service(other), COMMAND)) == []
    assert machine == EMPTY


def test_the_first_install_does_all_that_is_needed_in_an_order_that_works() -> None:
    lines = [str(change) for change in install(Service(), EMPTY, files(Service(), COMMAND))]
    assert lines[0].startswith("run useradd --system --user-group --home-dir /var/lib/actd")
    assert "--groups video,dialout actd" in lines[0]  # render does not exist here
    assert lines[1:3] == ["make /etc/actd/", "write /etc/systemd/system/actd.service"]
    assert lines[-5:] == [
        "write /etc/udev/rules.d/70-actd.rules",
        "run systemctl daemon-reload",
        "run udevadm control --reload",
        "run udevadm trigger --settle --name-match=cpu_dma_latency",
        "run systemctl enable actd.service",
    ]


def test_an_upgrade_replaces_what_is_ours_and_nothing_else() -> None:
    config = CONFIGS / "actd.yaml"
    machine = with_service(EMPTY)
    machine = replace(machine, paths=machine.paths | {config})
    unit, old = Service().unit_file, Service().drop_ins / "removed-since.conf"
    changed = {
        **machine.files,
        unit: machine.files[unit].replace("RestartSec=2", "RestartSec=9"),
        old: "# Written by `actd service install`.\n",
        OVERRIDE: "[Service]\nNice=-1\n",
    }
    outdated = replace(machine, files=changed)
    assert [str(c) for c in install(Service(), outdated, files(Service(), COMMAND))] == [
        f"remove {old}",
        f"replace {unit}",
        "run systemctl daemon-reload",
    ]
    upgraded = with_service(outdated)
    assert upgraded == replace(machine, files={**machine.files, OVERRIDE: changed[OVERRIDE]})


def test_a_group_that_came_later_is_joined() -> None:
    machine = replace(with_service(EMPTY), groups=frozenset({"video", "render", "dialout"}))
    assert [str(c) for c in install(Service(), machine, files(Service(), COMMAND))] == [
        "run usermod --append --groups render actd"
    ]


@pytest.mark.parametrize("path", [Service().unit_file, RULE, Service().drop_ins / "gpu.conf"])
def test_a_file_of_somebody_else_is_not_replaced(path: Path) -> None:
    machine = replace(EMPTY, files={path: "[Service]\n"})
    with pytest.raises(ActdError, match=f"{path}: not written by actd; move it away"):
        install(Service(), machine, files(Service(), COMMAND))
    assert uninstall(Service(), machine) == []


@pytest.mark.parametrize("purge", [False, True])
def test_what_people_made_goes_only_when_purged(purge: bool) -> None:
    config, other = CONFIGS / "actd.yaml", CONFIGS / "notes.txt"
    state, cache = Path("/var/lib/actd"), Path("/var/cache/actd")
    machine = with_service(EMPTY)
    machine = replace(
        machine,
        paths=machine.paths | {config, other, state, cache},
        files={**machine.files, OVERRIDE: "[Service]\nNice=-1\n"},
    )
    after = without(machine, purge=purge)
    kept = {CONFIGS, other} if purge else {CONFIGS, other, config, state}
    assert after.paths == kept
    assert set(after.files) == (set() if purge else {OVERRIDE})
    assert after.user is None
    # what was kept can be purged later
    assert without(after, purge=True).paths == {CONFIGS, other}


def test_recordings_that_stay_are_not_left_to_the_next_account_of_that_number() -> None:
    machine = replace(with_service(EMPTY), paths=frozenset({CONFIGS, Path("/var/lib/actd")}))
    lines = [str(change) for change in uninstall(Service(), machine)]
    assert "run chown --recursive --no-dereference root:root /var/lib/actd" in lines
    assert lines[-1] == "run userdel actd"


def test_an_account_that_was_there_before_stays() -> None:
    machine = replace(EMPTY, user=User("robot operators", frozenset({"video"})))
    present = with_service(machine)
    assert without(present).user == User("robot operators", frozenset({"video", "dialout"}))
