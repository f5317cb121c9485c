"""What is on this computer now, as far as a service's files and its user are concerned."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from actd.service.layout import (
    CACHE,
    CONFIGS,
    GROUPS,
    PLAIN,
    RULE,
    STATE,
    TEMPLATE,
    UNITS,
    USER,
    VENDOR,
)

_RUNNING = Path("/run/systemd/system")
_UDEV = Path("/run/udev/control")
_DMA_LATENCY = Path("/dev/cpu_dma_latency")


@dataclass(frozen=True, slots=True)
class User:
    """An account: its comment, and those of GROUPS that it is in."""

    comment: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts. `files`: text of every unit, drop-in and rule at a place of ours, whoever wrote it.

    `links`: units that start at boot. `paths`: what there is of configuration, state and cache.
    `user`: None where there is no USER. `groups`: those of GROUPS that exist. `packaged`: a
    distribution's package brings the units.
    """

    booted: bool
    udev: bool
    dma_latency: bool
    files: Mapping[Path, str]
    links: frozenset[str]
    paths: frozenset[Path]
    user: User | None
    groups: frozenset[str]
    packaged: bool = False


def read_machine(root: Path = Path("/")) -> Machine:
    """Read them from the files of `root`, and the accounts from this computer."""

    def inside(path: Path) -> Path:
        return root / path.relative_to("/")

    def outside(path: Path) -> Path:
        return Path("/") / path.relative_to(root)

    def candidates() -> Iterator[Path]:
        for name in (PLAIN, TEMPLATE):
            yield inside(UNITS / name)
            yield from inside(UNITS / f"{name}.d").glob("*.conf")
        yield inside(RULE)

    return Machine(
        booted=inside(_RUNNING).is_dir(),
        udev=inside(_UDEV).exists(),
        dma_latency=inside(_DMA_LATENCY).exists(),
        files={
            outside(path): path.read_text(errors="replace")
            for path in candidates()
            if path.is_file()
        },
        links=frozenset(
            link.name for link in inside(UNITS / "multi-user.target.wants").glob("actd*.service")
        ),
        paths=frozenset(
            outside(path)
            for path in (
                inside(CONFIGS),
                *inside(CONFIGS).glob("*"),
                *inside(STATE).glob("actd*"),
                *inside(CACHE).glob("actd*"),
            )
            if path.exists()
        ),
        user=_user(),
        groups=frozenset(name for name in GROUPS if _group(name) is not None),
        packaged=inside(VENDOR / PLAIN).is_file(),
    )


def _user() -> User | None:
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        return None
    members = {name: _group(name) for name in GROUPS}
    return User(
        account.pw_gecos,
        frozenset(name for name, group in members.items() if group and USER in group.gr_mem),
    )


def _group(name: str) -> grp.struct_group | None:
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None
