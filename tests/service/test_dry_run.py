"""`actd service install --dry-run` shows the changes on any computer, `install` needs systemd."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.errors import ActdError
from tests.service.test_plan import EMPTY


def test_without_systemd_a_dry_run_shows_the_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actd.service.read_machine", lambda: replace(EMPTY, booted=False))
    # The tests may run from a home folder, which a service does not see.
    monkeypatch.setattr("actd.service.layout.check_command", lambda *_: None)
    done = CliRunner().invoke(app, ["service", "install", "--dry-run"])
    assert done.exit_code == 0, done.exception
    assert "would write /etc/systemd/system/actd.service\n    +# Written by" in done.output
    assert "would run systemctl enable actd.service" in done.output
    real = CliRunner().invoke(app, ["service", "install"])
    assert isinstance(real.exception, ActdError)
    assert "systemd: does not run this computer; start the daemon with" in str(real.exception)
