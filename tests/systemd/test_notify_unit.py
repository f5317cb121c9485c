"""The notifier against a real systemd: ready, status line, watchdog, clean stop."""

from __future__ import annotations

import pytest

from tests.systemd.machine import SOURCE, VENV, SystemdMachine, wait_until

pytestmark = pytest.mark.systemd

BEACON = f"{VENV}/bin/python {SOURCE}/tests/systemd/beacon.py"


def unit(life: str, start_s: int = 30) -> str:
    return f"""
[Service]
Type=notify
NotifyAccess=main
Environment=PYTHONPATH={SOURCE}
ExecStart={BEACON} {life}
WatchdogSec=2
TimeoutStartSec={start_s}
Restart=on-watchdog
RestartSec=0
"""


def test_ready_status_and_clean_stop(systemd_machine: SystemdMachine) -> None:
    systemd_machine.install_unit("steady.service", unit("steady"))
    systemd_machine.systemctl("start", "steady")
    assert systemd_machine.show("steady", "ActiveState") == "active"
    assert 'Status: "beacon is steady"' in systemd_machine.systemctl("status", "steady")

    systemd_machine.run("sleep", "3")
    assert systemd_machine.show("steady", "NRestarts") == "0", systemd_machine.journal("steady")

    systemd_machine.systemctl("stop", "steady")
    assert systemd_machine.show("steady", "ActiveState") == "inactive"
    assert systemd_machine.show("steady", "Result") == "success"


def test_a_missed_watchdog_restarts(systemd_machine: SystemdMachine) -> None:
    systemd_machine.install_unit("stuck.service", unit("stuck"))
    systemd_machine.systemctl("start", "stuck")
    wait_until(lambda: systemd_machine.show("stuck", "NRestarts") != "0", "a watchdog restart")
    systemd_machine.systemctl("stop", "stuck")
    assert "Watchdog timeout" in systemd_machine.journal("stuck")


def test_without_ready_the_start_fails(systemd_machine: SystemdMachine) -> None:
    systemd_machine.install_unit("mute.service", unit("mute", start_s=1))
    with pytest.raises(RuntimeError, match=r"systemctl start mute: exit 1"):
        systemd_machine.systemctl("start", "mute")
    assert systemd_machine.show("mute", "Result") == "timeout"
