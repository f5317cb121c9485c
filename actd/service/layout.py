"""What belongs to a service: its names, its places, and the text of its files.

Reads the files that ship with actd (`systemd/`). Raises UsageError for a name that cannot be one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actd.errors import UsageError
from actd.resources import resource_dir

USER = "actd"
GROUPS = ("video", "render", "dialout")
"""Of the user, where they exist: cameras, GPUs, serial ports."""
UNITS = Path("/etc/systemd/system")
VENDOR = Path("/usr/lib/systemd/system")
"""Where a distribution's package has its units."""
RULE = Path("/etc/udev/rules.d/70-actd.rules")
CONFIGS = Path("/etc/actd")
STATE, CACHE = Path("/var/lib"), Path("/var/cache")
PLAIN, TEMPLATE = "actd.service", "actd@.service"
HEADER = "# Written by `actd service install`"
"""How each of these files begins; one that does not is somebody else's."""

# Hidden from the service (ProtectHome=, PrivateTmp=), or closed to its user.
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_COMMAND = re.compile(r"/[\w./+-]+")


@dataclass(frozen=True, slots=True)
class Service:
    """The daemon of one robot. `name` is "" for the only robot of a computer."""

    name: str = ""

    def __post_init__(self) -> None:
        """Raises UsageError unless systemd and a file may be named so."""
        if self.name and (not _NAME.fullmatch(self.name) or self.name == USER):
            raise UsageError(
                f"--name: found {self.name!r}; give up to 32 of a-z, 0-9, _ and -, such as left"
            )

    @property
    def unit(self) -> str:
        """What systemctl calls it."""
        return f"actd@{self.name}.service" if self.name else PLAIN

    @property
    def unit_file(self) -> Path:
        """The file of its unit, which all services with names share."""
        return UNITS / (TEMPLATE if self.name else PLAIN)

    @property
    def drop_ins(self) -> Path:
        """The folder of drop-ins of that file."""
        return UNITS / f"{self.unit_file.name}.d"

    @property
    def start_link(self) -> Path:
        """The link that `systemctl enable` makes."""
        return UNITS / "multi-user.target.wants" / self.unit

    @property
    def config(self) -> Path:
        """The deployment file."""
        return CONFIGS / f"{self.name or 'actd'}.yaml"

    @property
    def state(self) -> Path:
        """The folder of what it records."""
        return STATE / _folder(self.name)

    @property
    def cache(self) -> Path:
        """The folder of what engines are compiled to."""
        return CACHE / _folder(self.name)


def files(service: Service, command: Path) -> Mapping[Path, str]:
    """Path -> text of every file that the service needs; `command` is the program `actd`."""
    shipped = resource_dir("systemd")
    values = {
        "@actd@": str(command),
        "@config@": str(CONFIGS / "%i.yaml") if service.name else str(service.config),
        "@folder@": _folder("%i" if service.name else ""),
    }
    unit = (shipped / "actd.service.in").read_text()
    for placeholder, value in values.items():
        unit = unit.replace(placeholder, value)
    drop_ins = (shipped / "actd.service.d").glob("*.conf")
    return {
        service.unit_file: unit,
        **{service.drop_ins / path.name: path.read_text() for path in sorted(drop_ins)},
        RULE: (shipped / RULE.name).read_text(),
    }


def hidden(path: Path) -> bool:
    """Whether a service cannot see this place, whatever its permissions."""
    return any(path.is_relative_to(folder) for folder in _HIDDEN)


def check_command(command: Path, interpreter: Path) -> None:
    """Raise UsageError when a service cannot run this installation of actd."""
    for path in (command, interpreter):
        if hidden(path):
            raise UsageError(
                f"{path}: services do not see {path.parents[-2]}; install actd where they do, for "
                "example with: sudo python3 -m venv /opt/actd && sudo /opt/actd/bin/pip install "
                "actd, or sudo pipx install --global actd"
            )
    if not _COMMAND.fullmatch(str(command)):
        raise UsageError(
            f"{command}: other than letters, digits, _ . + - in the path of actd; install it in "
            "/opt/actd"
        )


def _folder(name: str) -> str:
    return f"actd-{name}" if name else "actd"
