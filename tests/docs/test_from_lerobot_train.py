"""docs/from-lerobot-train.md: five commands, and the arm moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.journey import PAGE, Traveller, commands, walk
from tests.fake_v4l2 import FakeV4L2


def test_the_page_has_five_commands() -> None:
    assert [words[1] for words in commands()] == ["export", "cameras", "init", "run", "drive"]


def test_the_page_says_how_long_each_takes() -> None:
    _, _, table = PAGE.read_text("utf-8").partition("| step | keys | seconds | until |")
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:8]]
    assert rows == ["lerobot-train", *(words[1] for words in commands())]


@pytest.fixture
def traveller(lerobot_python: str, tmp_path: Path, fake_v4l2: FakeV4L2) -> Iterator[Traveller]:
    traveller = Traveller(tmp_path, str(Path(lerobot_python).absolute()), fake_v4l2)
    yield traveller
    traveller.close()


@pytest.mark.lerobot
@pytest.mark.timeout(1200)
def test_its_commands_lead_from_a_training_to_a_moving_arm(traveller: Traveller) -> None:
    traveller.train()
    walk(traveller)
