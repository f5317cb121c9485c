"""Gather all facts in order, and judge them: what `actd doctor` does.

A running daemon is asked and never disturbed: where one runs, on whatever ports, no engine
computes, no loop is timed and no camera is opened, which might starve its own.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from actd.config import link_of
from actd.doctor import cameras, deployment, place, robot
from actd.doctor.checks import CHECKS
from actd.doctor.computer import read_computer
from actd.doctor.facts import Deployment, Facts
from actd.doctor.finding import Row
from actd.doctor.lateness import measure_loops
from actd.errors import ActdError, ConfigError, LinkError
from actd.holders import processes_of
from actd.link.sockets import LOOPBACK, Ports

TICK_MODULE = "actd.runtime.control_loop"


def gather(
    path: Path | None,
    *,
    checkpoint: str | None = None,
    seconds: float = 10.0,
    root: Path = Path("/"),
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Everything that the checks judge. `path` None: only this computer.

    `root` is where /proc and /sys are read; `say` is told what takes time.
    """
    facts = Facts(
        computer=read_computer(root),
        gpu=deployment.read_gpu(),
        user=_user(),
    )
    if path is not None:
        facts = replace(facts, deployment=deployment.read_deployment(path))
    facts = _look_for_daemons(facts, root)
    if facts.deployment is not None:
        facts = _look_at_deployment(facts, root, say)
    if checkpoint is not None:
        say("reading the checkpoint")
        manifest = facts.deployment.manifest if facts.deployment else None
        facts = replace(facts, checkpoint=deployment.read_checkpoint(checkpoint, manifest))
    return _measure(facts, seconds, say)


def judge(facts: Facts) -> list[Row]:
    """Every finding of every check, in the order of the table."""
    return [Row(check.name, finding) for check in CHECKS for finding in check.judge(facts)]


def _look_for_daemons(facts: Facts, root: Path) -> Facts:
    ports = _ports(facts.deployment)
    config = facts.deployment.config if facts.deployment else None
    host = config.link.host if config else LOOPBACK[0]
    facts = replace(facts, ports=tuple(place.read_ports(host, ports, config, root)))
    if any(port.name == "status" and port.listening for port in facts.ports):
        with suppress(LinkError):  # the check of the ports says who is there
            facts = replace(facts, daemon=robot.ask_daemon(host, ports))
    return replace(facts, ticks=processes_of(TICK_MODULE, root / "proc"))


def _ports(here: Deployment | None) -> Ports:
    """The ports of the deployment, also where the rest of the file is wrong."""
    if here is None:
        return Ports()
    if here.config is not None:
        return here.config.link.ports
    try:
        return link_of(Path(here.path)).ports
    except ConfigError:
        return Ports()


def _look_at_deployment(facts: Facts, root: Path, say: Callable[[str], None]) -> Facts:
    here = facts.deployment
    if here is None or here.config is None:
        return facts
    config, manifest = here.config, here.manifest
    facts = replace(facts, disk=place.read_disk(config))
    if manifest is not None:
        compute = not facts.ticks
        if compute:
            say("computing the engine's reference observations")
        engine = deployment.run_engine(config, manifest, compute=compute)
        facts = replace(facts, engine=engine)
    if facts.daemon is None and not facts.ticks:
        if config.cameras:
            say(f"looking at {len(config.cameras)} cameras")
        facts = replace(facts, cameras=cameras.look_at(config.cameras, root))
    state_is_free = not any(port.name == "state" and port.listening for port in facts.ports)
    if manifest is not None and facts.daemon is None and state_is_free:
        say("listening for the robot's controller")
        with suppress(LinkError):  # the check of the ports says what is wrong with it
            facts = replace(facts, controller=robot.listen(config, manifest))
    return facts


def _measure(facts: Facts, seconds: float, say: Callable[[str], None]) -> Facts:
    if facts.ticks or seconds == 0:
        return facts
    config = facts.deployment.config if facts.deployment else None
    infer = facts.engine is not None and facts.engine.parity is not None
    say(f"measuring lateness for {seconds:g} s")
    try:
        return replace(facts, loops=measure_loops(config, seconds, infer=infer))
    except ActdError as error:
        return replace(facts, loops_error=str(error))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        return str(os.getuid())
