"""One daemon for many faults: started anew only where a fault ends it or needs another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actd.mode import Mode
from tests.faults import page
from tests.faults.deployment import Setup
from tests.faults.engine import write_engine
from tests.faults.faults import FAULTS
from tests.faults.rig import Rig

_KILLS_MAX = 4
"""A process that dies six times a minute stays down; a rig is spent before that."""

VERDICTS = pytest.StashKey[dict[str, page.Verdict]]()


class Pool:
    """Gives a rig for a setup, the last one where it still serves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = write_engine(folder / "engine")
        self._made = 0
        self._rig: Rig | None = None

    def take(self, setup: Setup, mode: Mode) -> Rig:
        """A healthy daemon in `mode`."""
        rig = self._rig
        if rig is None or rig.setup != setup or max(rig.kills.values(), default=0) >= _KILLS_MAX:
            left = self.drop()
            assert not left, left
            self._made += 1
            rig = self._rig = Rig(setup, self._folder / f"rig{self._made}", self._engine)
        rig.bring(mode)
        return rig

    def drop(self) -> list[str]:
        """End the rig in hand; what it left behind."""
        rig, self._rig = self._rig, None
        return rig.end() if rig is not None else []


@pytest.fixture(scope="package")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """The rigs of all faults; the last one leaves nothing behind either."""
    subject = Pool(tmp_path_factory.mktemp("faults"))
    try:
        yield subject
        left = subject.drop()
        assert not left, left
    finally:
        with suppress(OSError):
            subject.drop()


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest) -> dict[str, page.Verdict]:
    """What each fault came to, for the page."""
    return request.config.stash.setdefault(VERDICTS, {})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write docs/reliability.md where that was asked for and every fault was injected."""
    if not session.config.getoption("--write-reliability", default=False):
        return
    found = session.config.stash.get(VERDICTS, {})
    missing = [fault.key for fault in FAULTS if fault.key not in found]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if missing:
        say = f"docs/reliability.md is not written: {len(missing)} faults were not injected, "
        say += f"such as {missing[0]}"
    else:
        page.write(found)
        say = f"wrote {page.PAGE}"
    if reporter is not None:
        reporter.write_line(say)
