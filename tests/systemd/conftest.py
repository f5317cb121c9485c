"""`systemd_machine`: a private systemd per test module, or a skip that says why."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actd.link.sockets import Ports
from tests.runtime.conftest import write_config
from tests.systemd.machine import SOURCE, VENV, CannotBoot, SystemdMachine, booted
from tests.videos import write_video

PYTHON = f"{VENV}/bin/python"


def actd(machine: SystemdMachine, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `actd WORDS` inside, as root."""
    return machine.run("env", f"PYTHONPATH={SOURCE}", PYTHON, "-m", "actd", *words)


def run_from_source(machine: SystemdMachine, *units: str) -> None:
    """Have the services run the code of this repository, by a drop-in as an operator's."""
    for unit in units:
        path = machine.root / f"etc/systemd/system/{unit}.d/source.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[Service]\nEnvironment=PYTHONPATH={SOURCE}\n")
    machine.systemctl("daemon-reload")


def deploy(machine: SystemdMachine, engine: Path) -> None:
    """Put an engine, a film for its cameras and a configuration where a service has them."""
    srv, etc = machine.root / "srv/actd", machine.root / "etc/actd"
    shutil.copytree(engine, srv / "engine")
    write_video(srv / "v.avi", (np.full((96, 128, 3), index, np.uint8) for index in range(60)))
    sources = dict.fromkeys(("cam_high", "cam_low"), "/srv/actd/v.avi")
    page = "dashboard: {enabled: true, port: 9875}"
    write_config(etc, Path("/srv/actd/engine"), Ports(), sources, page)
    for path in (srv, etc):
        machine.run("chmod", "-R", "a+rX", "/" + str(path.relative_to(machine.root)))


@pytest.fixture(scope="module")
def systemd_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    """A booted machine, shared by the module's tests: give units names of their own."""
    try:
        with booted(tmp_path_factory.mktemp("machine")) as machine:
            yield machine
    except CannotBoot as reason:
        pytest.skip(f"no private systemd: {reason}")


@pytest.fixture(scope="module")
def installed(systemd_machine: SystemdMachine) -> SystemdMachine:
    """The machine after `actd service install`."""
    done = actd(systemd_machine, "service", "install")
    assert done.returncode == 0, done.stderr
    run_from_source(systemd_machine, "actd.service")
    return systemd_machine
