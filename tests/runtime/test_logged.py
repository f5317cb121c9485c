"""The log of a real daemon: every line an event, and what happened to the arm by its name."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.mode import Mode
from tests.runtime.conftest import Arm, Daemon, wait_until
from tests.runtime.events_page import EVENTS
from tests.runtime.test_daemon import armed

LINE = re.compile(r"[0-9-]{10} [0-9:,]{12} (?P<level>[A-Z]+) (?P<text>.*) \[(?P<id>[a-z-]+)\]")


@pytest.mark.slow
def test_what_happens_to_an_arm_is_in_the_log(daemon: Daemon) -> None:
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        armed(daemon, arm)
        operator.hold()
        arm.cycle(5, until=lambda a: a.mode is Mode.HOLD)
        arm.cycle(0.5)
        armed(daemon, arm)
        wait_until(lambda: operator.status()["mode"] == "FAULT", "FAULT")  # nothing is sent
        arm.cycle(0.5)
        assert operator.status()["event"] in ("state-stale", "controller-lost")
        shown = CliRunner().invoke(app, ["status", "--config", str(daemon.config)])
        title = r"FAULT: the gap lasts: .*\[(state-stale|controller-lost)\]"
        assert re.search(title, shown.output, re.DOTALL), shown.output
        arm.cycle(0.5)
        operator.reset()
        armed(daemon, arm)
        daemon.child("inference").kill()
        arm.cycle(5, until=lambda a: a.mode is Mode.FAULT)
        robot.send_state({"another_arm": 1.0})
        wait_until(lambda: operator.status()["state_rejected"]["count"], "the message")
    code, output = daemon.end()
    assert code == 0, output
    lines = [LINE.fullmatch(line) for line in output.splitlines()]
    assert all(lines), output
    said = [line for line in lines if line]
    assert {line["id"] for line in said} <= {event.id for event in EVENTS}
    # Whichever limit is the shortest.
    streams = dict.fromkeys(("controller-lost", "state-stale", "chunk-late"), "silent")
    modes = [line for line in said if line["text"].startswith("mode")]
    assert [(line["level"], streams.get(line["id"], line["id"])) for line in modes] == [
        ("INFO", "mode-changed"),  # armed
        ("INFO", "mode-changed"),  # an operator's hold
        ("INFO", "mode-changed"),  # armed
        ("WARNING", "silent"),
        ("ERROR", "silent"),
        ("INFO", "mode-changed"),  # reset
        ("INFO", "mode-changed"),  # armed
        ("ERROR", "process-died"),
        ("INFO", "mode-changed"),  # STOP
    ], output
    ids = [line["id"] for line in said]
    assert ids[0] == "starting"
    assert ids[-1] == "stopped"
    assert {"ready", "engine-warm", "camera-ok", "process-ended", "state-refused"} <= set(ids)
    assert ids.index("process-ended") < ids.index("process-died")
