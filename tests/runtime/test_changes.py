"""`actd config check --running`: what a daemon would do otherwise if it started now."""

from __future__ import annotations

import subprocess
import sys

import pytest

from actd.errors import ConfigError
from tests.runtime.conftest import Daemon


def check(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actd", "config", "check", "--running", str(daemon.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_daemon_says_what_changed_since_it_started(daemon: Daemon) -> None:
    good = daemon.config.read_text()
    done = check(daemon)
    assert (done.returncode, done.stdout.splitlines()[-1].split("; ")[1]) == (
        0,
        "the daemon runs with it",
    )
    daemon.config.write_text(good.replace("velocity: 3", "velocity: 2", 1))
    done = check(daemon)
    assert done.returncode == 1
    assert "changed since the daemon started: robot.joints.j0.velocity; none of it" in done.stderr
    daemon.config.write_text(good.replace("robot:", "robbot:"))
    done = check(daemon)
    assert done.returncode == ConfigError.exit_code
    assert "did you mean robot?" in done.stderr
    port = f"status_port: {daemon.ports.status}"
    daemon.config.write_text(good.replace(port, "status_port: 19999"))
    done = check(daemon)
    assert done.returncode == 1
    assert "or restart it if `link` or robot.name changed" in done.stderr
    daemon.config.write_text(good)
    assert check(daemon).returncode == 0
    with daemon.operator() as operator:
        assert operator.ping()["mode"] == "IDLE"
