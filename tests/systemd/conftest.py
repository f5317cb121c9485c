"""`systemd_machine`: a private systemd per test module, or a skip that says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.systemd.machine import CannotBoot, SystemdMachine, booted


@pytest.fixture(scope="module")
def systemd_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    """A booted machine, shared by the module's tests: give units names of their own."""
    try:
        with booted(tmp_path_factory.mktemp("machine")) as machine:
            yield machine
    except CannotBoot as reason:
        pytest.skip(f"no private systemd: {reason}")
