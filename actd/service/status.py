"""What is said of a service: is it there, does it run, is its arm engaged, what is wrong with it.

Asks systemctl, the daemon, and `actd config check` as the service's user. Each problem is a line
with its remedy.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from actd.client import Operator
from actd.config import Config, link_of, load
from actd.errors import ActdError, ConfigError, LinkError
from actd.mode import Mode
from actd.service.layout import PLAIN, USER, Service, hidden

RUNNING = ("active", "activating", "reloading")
"""States of a unit that has processes, or will have without being asked."""

_ASKED = ("ActiveState", "Result", "StatusText", "MainPID", "NRestarts")


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit. `active` is such as active, activating, inactive, failed."""

    active: str
    result: str
    text: str
    pid: int
    restarts: int

    def __str__(self) -> str:
        why = f" ({self.result})" if self.active == "failed" else ""
        process = f", process {self.pid}" if self.pid else ""
        again = f", restarted {self.restarts} times" if self.restarts else ""
        return f"{self.active}{why}{process}{again}" + (f": {self.text}" if self.text else "")


def unit_state(service: Service) -> UnitState:
    """Raises ActdError when systemd does not answer."""
    lines = _systemctl("show", service.unit, *(f"--property={name}" for name in _ASKED))
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return UnitState(
        active=values.get("ActiveState", "unknown"),
        result=values.get("Result", "unknown"),
        text=values.get("StatusText", ""),
        pid=int(values.get("MainPID") or 0),
        restarts=int(values.get("NRestarts") or 0),
    )


def running_services() -> list[Service]:
    """Those that run, whoever installed or enabled them. Raises ActdError, as `unit_state`."""
    options = ("--plain", "--no-legend", f"--state={','.join(RUNNING)}")
    units = [
        line.split()[0] for line in _systemctl("list-units", *options, PLAIN, "actd@*.service")
    ]
    return [Service(unit.removesuffix(".service").partition("@")[2]) for unit in units]


def engaged(service: Service) -> str | None:
    """Why `service`, which runs, may not be stopped without a thought of its arm; None if it may.

    An answer that does not come counts as an arm that moves, unless the daemon still starts: until
    it is ready nothing can be armed.
    """
    try:
        link = link_of(service.config)
        with Operator(ports=link.ports, robot=link.robot) as daemon:
            mode = str(daemon.ping().get("mode"))
    except (ConfigError, LinkError) as error:
        if unit_state(service).active == "activating":
            return None
        return f"whether the arm is engaged is not known ({error})"
    return None if mode == Mode.IDLE.name else f"the arm is engaged ({mode})"


def problems(
    service: Service, others: Iterable[Service], command: Path, *, running: bool = False
) -> Iterator[str]:
    """What keeps `service` from running, or from running beside `others`.

    running: also what a daemon that runs does otherwise than its file says.
    """
    path = service.config
    if not path.exists():
        yield f"{path}: no such file; put the configuration of the robot there (`actd init`)"
        return
    yield from _wrong_config(path, command, ["--running"] if running else [])
    mine = _config(service)
    for other in others:
        theirs = _config(other)
        if mine is not None and theirs is not None:
            yield from (f"{path}: {words}" for words in collisions(mine, theirs, other.config))


def _systemctl(*words: str) -> list[str]:
    try:
        done = subprocess.run(
            ["systemctl", *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ActdError(f"systemctl {' '.join(words)}: {error}; is systemd running?") from None
    return done.stdout.splitlines()


def _wrong_config(path: Path, command: Path, options: Sequence[str]) -> Iterator[str]:
    as_user = ("setpriv", "--reuid", USER, "--regid", USER, "--init-groups")
    done = subprocess.run(
        [*(as_user if os.geteuid() == 0 else ()), command, "config", "check", *options, path],
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.splitlines()
        yield from (line for line in lines if not line.startswith("warning: "))
        return
    engine = load(path).engine
    if hidden(engine):
        yield f"engine: {engine}: services do not see {engine.parents[-2]}; move it to /srv/actd"


def collisions(mine: Config, theirs: Config, other: Path) -> Iterator[str]:
    """What two robots of one computer may not share; `other` is the file of `theirs`."""
    if shared := sorted(_ports(mine) & _ports(theirs)):
        yield (
            f"ports {', '.join(map(str, shared))} are those of {other} too; give one of them "
            "others, under `link` and `dashboard`"
        )
    if mine.robot.name == theirs.robot.name:
        yield f"robot.name {mine.robot.name} is that of {other} too; give each robot its own"


def _config(service: Service) -> Config | None:
    """None where there is none, or a wrong one, which is said of the service that it is of."""
    try:
        return load(service.config)
    except ConfigError:
        return None


def _ports(config: Config) -> frozenset[int]:
    dashboard = {config.dashboard.port} if config.dashboard.enabled else set()
    return frozenset(astuple(config.link.ports)) | dashboard
