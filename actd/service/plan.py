"""Which changes lead from what is on a computer to what should be. Pure.

A plan for what is there already is empty. Raises ActdError where a file of somebody else is in the
way. Nothing that a person wrote is removed or replaced, unless `purge` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from actd.errors import ActdError
from actd.service.changes import Change, MakeFolder, Remove, Run, Write
from actd.service.layout import (
    CONFIGS,
    GROUPS,
    HEADER,
    PLAIN,
    RULE,
    STATE,
    TEMPLATE,
    UNITS,
    USER,
    Service,
)
from actd.service.machine import Machine

COMMENT = "made by actd service install"
"""In the account that `install` makes, so that `uninstall` takes no other."""


def installed(machine: Machine) -> tuple[Service, ...]:
    """The services of this computer, by name."""
    used = PLAIN in machine.links or Service().config in machine.paths
    ours = used if machine.packaged else _ours(machine, UNITS / PLAIN)
    plain = [Service()] if ours else []
    named = [
        Service(unit.removeprefix("actd@").removesuffix(".service"))
        for unit in sorted(machine.links)
        if unit.startswith("actd@")
    ]
    return (*plain, *(named if machine.packaged or _ours(machine, UNITS / TEMPLATE) else ()))


def install(service: Service, machine: Machine, files: Mapping[Path, str]) -> list[Change]:
    """What makes `service` with these `files` (from `layout.files`) start at every boot."""
    for path in files:
        if path in machine.files and not _ours(machine, path):
            raise ActdError(f"{path}: not written by actd; move it away, or into {path}.d")
    changes = [*_account(machine)]
    if CONFIGS not in machine.paths:
        changes.append(MakeFolder(CONFIGS))
    outdated = [path for path in _drop_ins(service, machine) if path not in files]
    changed = {path: text for path, text in files.items() if machine.files.get(path) != text}
    changes += map(Remove, outdated)
    changes += (Write(path, text, machine.files.get(path)) for path, text in changed.items())
    changes += _reloads(machine, [*outdated, *changed])
    if service.unit not in machine.links:
        changes.append(Run(("systemctl", "enable", service.unit)))
    return changes


def uninstall(service: Service, machine: Machine, *, purge: bool = False) -> list[Change]:
    """What takes `service` away, and with the last one all that they share.

    The configuration and the recordings stay unless `purge`; recordings become root's, since an
    account that comes later may have the number of the one that goes.
    """
    others = [one for one in installed(machine) if one != service]
    present = service in installed(machine)
    changes: list[Change] = []
    if present:
        changes.append(Run(("systemctl", "disable", "--now", service.unit)))
    gone: list[Path] = []
    if not any(one.unit_file == service.unit_file for one in others):
        gone += [path for path in (service.unit_file,) if _ours(machine, path)]
        gone += _drop_ins(service, machine)
        if purge:
            gone += [path for path in machine.files if path.parent == service.drop_ins]
    if not others and _ours(machine, RULE):
        gone.append(RULE)
    gone = list(dict.fromkeys(gone))
    changes += [Remove(path) for path in gone]
    left = [path for path in machine.files if path not in gone]
    if any(path.parent == service.drop_ins for path in gone) and not any(
        path.parent == service.drop_ins for path in left
    ):
        changes.append(Remove(service.drop_ins))
    changes += _reloads(machine, gone)
    changes += _data(service, machine, present=present, purge=purge)
    rest = {path for path in machine.paths if path.parent == CONFIGS}
    if CONFIGS in machine.paths and not others and rest <= ({service.config} if purge else set()):
        changes.append(Remove(CONFIGS))
    if not others and machine.user is not None and machine.user.comment == COMMENT:
        if machine.dma_latency:
            changes.append(Run(("chown", "root:root", "/dev/cpu_dma_latency")))
        changes.append(Run(("userdel", USER)))
    return changes


def _account(machine: Machine) -> Iterator[Change]:
    groups = [name for name in GROUPS if name in machine.groups]
    if machine.user is None:
        member = ("--groups", ",".join(groups)) if groups else ()
        home = ("--home-dir", str(STATE / USER), "--no-create-home", "--shell", "/usr/sbin/nologin")
        yield Run(
            ("useradd", "--system", "--user-group", *home, "--comment", COMMENT, *member, USER)
        )
    elif missing := [name for name in groups if name not in machine.user.groups]:
        yield Run(("usermod", "--append", "--groups", ",".join(missing), USER))


def _data(service: Service, machine: Machine, *, present: bool, purge: bool) -> Iterator[Change]:
    paths = machine.paths
    if service.cache in paths:
        yield Remove(service.cache)
    if service.state in paths and purge:
        yield Remove(service.state)
    elif service.state in paths and present:
        yield Run(("chown", "--recursive", "--no-dereference", "root:root", str(service.state)))
    if purge and service.config in paths:
        yield Remove(service.config)


def _reloads(machine: Machine, touched: list[Path]) -> Iterator[Change]:
    """Have systemd and udev read again what was touched."""
    if any(path.is_relative_to(UNITS) for path in touched):
        yield Run(("systemctl", "daemon-reload"))
    if RULE in touched and machine.udev:
        yield Run(("udevadm", "control", "--reload"))
        if machine.dma_latency:
            yield Run(("udevadm", "trigger", "--settle", "--name-match=cpu_dma_latency"))


def _drop_ins(service: Service, machine: Machine) -> list[Path]:
    """Those of ours; an operator's stay."""
    return [
        path for path in machine.files if path.parent == service.drop_ins and _ours(machine, path)
    ]


def _ours(machine: Machine, path: Path) -> bool:
    return machine.files.get(path, "").startswith(HEADER)
