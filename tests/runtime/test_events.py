"""The table of events: complete, in use, documented, and the only thing that is logged."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from actd.runtime import events
from actd.runtime.events import EVENTS, Event, of_condition
from tests.runtime.events_page import PAGE, updated

SOURCE = Path(events.__file__).parents[1]
DAEMON = [*(SOURCE / "runtime").glob("*.py"), SOURCE / "cli" / "daemon.py"]


def test_what_is_wrong_cannot_be_said_without_cause_and_remedy() -> None:
    for cause, remedy in (("", "mend it"), ("broken", ""), ("", "")):
        with pytest.raises(ValueError, match="broken-arm: needs a cause and a remedy"):
            Event("broken-arm", logging.WARNING, "It is broken.", cause, remedy)


def test_ids_are_words_and_unlike_each_other() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", event.id) for event in EVENTS)
    assert len({event.id for event in EVENTS}) == len(EVENTS)
    assert len({event.message_id for event in EVENTS}) == len(EVENTS)


def test_a_message_id_never_changes() -> None:
    assert events.CAMERA_FAILED.message_id == "b8c2072db85d5fae889f22a7f3ee09b1"
    assert events.MODE_CHANGED.message_id == "ecf81551f7c4596e822c787408cf383c"


def test_the_page_is_the_table() -> None:
    page = PAGE.read_text()
    assert page == updated(page), "python -m tests.runtime.events_page"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.id)
def test_the_daemon_says_every_event_of_the_table(event: Event) -> None:
    (name,) = (name for name, value in vars(events).items() if value is event)
    uses = [file.name for file in DAEMON if len(re.findall(rf"\b{name}\b", file.read_text())) > 0]
    in_table = len(re.findall(rf"\b{name}\b", (SOURCE / "runtime/events.py").read_text()))
    assert in_table > 1 or len(uses) > 1, uses


def test_nothing_of_the_daemon_logs_anything_else() -> None:
    loggers = {file.name for file in DAEMON if "getLogger" in file.read_text()}
    assert loggers == {"event_log.py"}


@pytest.mark.parametrize(
    ("kind", "state", "why", "event"),
    [
        ("camera", "failed", "no such device", events.CAMERA_FAILED),
        ("camera", "slow and grey", "gives 3 of 30 fps", events.CAMERA_SLOW),
        ("camera", "unlike training", "its images are dark", events.CAMERA_UNLIKE_TRAINING),
        ("inference", "running", "", events.INFERENCE_RUNNING),
        ("inference", "running", "j0 is 3, seen were -1 to 1", events.STATE_UNLIKE_TRAINING),
        ("recorder", "failed", "disk full", events.RECORDER_FAILED),
        ("recorder", "saved", "", events.RECORDER_STATE),
        ("tick", "running", "", events.PROCESS_STATE),
        ("another", "failed", "", events.PROCESS_FAILED),
        ("camera", "of a later version", "", events.PROCESS_STATE),
    ],
)
def test_a_report_of_a_process_is_an_event(kind: str, state: str, why: str, event: Event) -> None:
    assert of_condition(kind, state, why) is event
