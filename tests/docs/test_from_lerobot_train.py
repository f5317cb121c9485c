"""docs/from-lerobot-train.md: five commands, and the arm moves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.journey import Traveller, commands
from tests.fake_v4l2 import FakeV4L2


def test_the_page_has_five_commands() -> None:
    assert [words[1] for words in commands()] == ["export", "cameras", "init", "run", "drive"]


@pytest.fixture
def traveller(tmp_path: Path, fake_v4l2: FakeV4L2) -> Iterator[Traveller]:
    python = os.environ.get("ACTD_LEROBOT_PYTHON")
    if not python:
        pytest.fail("set ACTD_LEROBOT_PYTHON; scripts/make-lerobot-venv makes one")
    traveller = Traveller(tmp_path, str(Path(python).absolute()), fake_v4l2)
    yield traveller
    traveller.close()


@pytest.mark.lerobot
@pytest.mark.timeout(1500)
def test_its_commands_lead_from_a_training_to_a_moving_arm(traveller: Traveller) -> None:
    export, cameras, init, run, drive = commands()
    traveller.train()
    assert "next: actd bench engines/cup/" in traveller.type(export)
    seen = traveller.type(cameras)
    assert "front: " in seen
    assert "/dev/v4l/by-id/usb-webcam_wrist-video-index0" in seen
    assert "left to guess: nothing" in traveller.type(init)
    traveller.use_free_ports()
    with traveller.running(run), traveller.driving(drive) as terminal:
        # A busy computer may let the first attempt be refused; a person presses Enter again.
        deadline = time.monotonic() + 120
        while "ARMED" not in terminal.said:
            assert time.monotonic() < deadline, terminal.said
            terminal.press("\n")
            try:
                terminal.hears("ARMED", 15)
            except AssertionError:
                continue
        assert traveller.moved() > 10
        terminal.process.send_signal(signal.SIGINT)
        terminal.hears("left: ", 60)
        assert terminal.process.wait(30) == 0
    print({step: round(seconds, 1) for step, seconds in traveller.took.seconds.items()})
