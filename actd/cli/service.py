"""actd as a systemd service: install, uninstall, status."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actd.cli.app import app
from actd.cli.shared import warn
from actd.errors import ActdError

if TYPE_CHECKING:
    from actd.service import Change, Machine, Service

service_app = typer.Typer(
    help="Run the daemon as a systemd service, from every boot on.", no_args_is_help=True
)
app.add_typer(service_app, name="service")

NameOption = Annotated[
    str,
    typer.Option(
        help="A robot's name where one computer has several: its unit is actd@NAME, its "
        "configuration /etc/actd/NAME.yaml.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print every change, make none.")]


@service_app.command("install")
def service_install(name: NameOption = "", dry_run: DryRun = False) -> None:
    """Install the service, or bring it up to this version of actd.

    The configuration and your own drop-ins are kept.
    """
    from actd.service import Service, install, installed, read_machine
    from actd.service.layout import check_command, files
    from actd.service.status import RUNNING, problems, unit_state

    service, machine = Service(name), read_machine()
    if not dry_run:
        _check_systemd(machine)
    _check_not_packaged(machine, f"sudo systemctl enable --now {service.unit}")
    command = _command()
    check_command(command, Path(sys.base_prefix))
    changes = install(service, machine, files(service, command))
    if not _carried_out(changes, f"{service.unit}: installed already; nothing to do", dry_run):
        return
    others = [one for one in installed(machine) if one != service]
    wrong = list(problems(service, others, command))
    warn(wrong)
    if wrong:
        typer.echo(f"next: mend that, then sudo systemctl start {service.unit}")
    elif unit_state(service).active in RUNNING:
        if changes:
            typer.echo(
                f"next: sudo systemctl restart {service.unit} (the arm comes to rest first, and "
                "has to be armed again)"
            )
    else:
        typer.echo(f"next: sudo systemctl start {service.unit}")


@service_app.command("uninstall")
def service_uninstall(
    name: NameOption = "",
    purge: Annotated[
        bool, typer.Option("--purge", help="The configuration and the recordings too.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Stop the service (the arm comes to rest first) and remove all that `install` made.

    The configuration, the recordings and your own drop-ins are kept.
    """
    from actd.service import Service, read_machine, uninstall

    service, machine = Service(name), read_machine()
    _check_systemd(machine)
    _check_not_packaged(machine, f"sudo systemctl disable --now {service.unit}, or apt remove actd")
    changes = uninstall(service, machine, purge=purge)
    if not _carried_out(changes, f"{service.unit}: not installed; nothing to do", dry_run):
        return
    left = [path for path in (service.config, service.state) if path.exists()]
    if left:
        typer.echo(f"kept: {', '.join(map(str, left))} (--purge removes them)")


@service_app.command("stop")
def service_stop(name: NameOption = "") -> None:
    """Stop what runs, all services or the one named, but none while an arm is engaged.

    For upgrades and scripts: `systemctl stop` ramps an arm that moves to rest, this refuses.
    """
    from actd.service import read_machine
    from actd.service.changes import Run
    from actd.service.status import engaged, running_services

    _check_systemd(read_machine())
    running = [one for one in running_services() if not name or one.name == name]
    refusals = [
        f"{service.unit}: {why}; first: actd stop --config {service.config}, actd reset --config "
        f"{service.config}; or, with a ramp to rest: sudo systemctl stop {service.unit}"
        for service in running
        if (why := engaged(service))
    ]
    if refusals:
        raise ActdError("\n".join(refusals))
    stops = [Run(("systemctl", "stop", service.unit)) for service in running]
    _carried_out(stops, "nothing runs; nothing to do", dry_run=False)


@service_app.command("status")
def service_status(name: NameOption = "") -> None:
    """Say of each service whether it runs, and what is wrong with it."""
    from actd.service import Service, install, installed, read_machine
    from actd.service.layout import files
    from actd.service.status import problems, unit_state

    machine = read_machine()
    _check_systemd(machine)
    present = installed(machine)
    services: Sequence[Service] = [Service(name)] if name else present
    missing = [one for one in services if one not in present]
    if missing or not services:
        unit = Service(name).unit
        enabling = f"run: sudo systemctl enable --now {unit}"
        remedy = enabling if machine.packaged else _installing(name)
        raise ActdError(f"{unit}: not installed; {remedy}")
    command = _command()
    well = True
    for service in services:
        state = unit_state(service)
        typer.echo(f"{service.unit}: {state}")
        others = [one for one in present if one != service]
        runs = state.active == "active"
        wrong = list(problems(service, others, command, running=runs))
        if not machine.packaged and install(service, machine, files(service, command)):
            how = "installed otherwise than this actd would"
            wrong.append(f"{service.unit}: {how}; {_installing(service.name)}")
        if state.active == "failed":
            wrong.append(
                f"{service.unit}: failed; journalctl --unit {service.unit} says why; then "
                f"sudo systemctl reset-failed {service.unit}, and start it"
            )
        warn(wrong)
        well = well and runs and not wrong
    raise typer.Exit(0 if well else 1)


def _carried_out(changes: Sequence[Change], nothing: str, dry_run: bool) -> bool:
    """Print the changes and make them; whether they are made, or there are none to make."""
    from actd.service.changes import apply

    if changes and not dry_run and os.geteuid() != 0:
        words = " ".join(sys.argv[2:])
        raise ActdError(f"actd service: only root may; run: {_as_root(words)}")
    for change in changes:
        typer.echo(f"{'would ' if dry_run else ''}{change}")
        if dry_run:
            for line in change.details():
                typer.echo(f"    {line}")
        else:
            apply([change])
    if not changes:
        typer.echo(nothing)
    return not dry_run


def _command() -> Path:
    """The program of this installation, where it really lies."""
    return Path(sysconfig.get_path("scripts")).resolve() / "actd"


def _installing(name: str) -> str:
    return "run: " + _as_root(f"install --name {name}" if name else "install")


def _as_root(words: str) -> str:
    # sudo has a PATH of its own
    return f"sudo {_command()} service {words}"


def _check_not_packaged(machine: Machine, instead: str) -> None:
    if machine.packaged:
        raise ActdError(f"actd service: the units are of the Debian package actd; run: {instead}")


def _check_systemd(machine: Machine) -> None:
    if not machine.booted:
        raise ActdError(
            "systemd: does not run this computer; start the daemon with `actd run` from whatever "
            "does, and restart it when it exits with another status than 0, 2 or 78"
        )
