"""The log: a line on a terminal, an entry with fields under systemd."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.errors import ConfigError
from actd.runtime import event_log, events, journal
from actd.runtime.event_log import Log, say
from actd.runtime.repetition import Repetition

SECRET = "rtsp://user:needle@camera:554/key"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[socket.socket]:
    """Where journald listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(5)
        yield server


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_repetition", Repetition())


@pytest.fixture
def log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: socket.socket, fresh: None
) -> Iterator[Log]:
    """The root logger's handler, whose stream is the journal's."""
    with (tmp_path / "stderr").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        handler = Log(stream, address=str(tmp_path / "journal"))
        handler.robot = "left"
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        yield handler
        root.removeHandler(handler)
        root.setLevel(level)


def parsed(datagram: bytes) -> dict[str, str]:
    """As journald reads it."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, is_short, value = line.partition(b"=")
        if not is_short:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


@given(st.dictionaries(st.from_regex(r"\A[A-Z][A-Z_]{0,9}\Z"), st.text(), max_size=5))
def test_an_entry_is_read_as_it_was_meant(fields: dict[str, str]) -> None:
    sent = {name: value.encode(errors="replace").decode() for name, value in fields.items()}
    assert parsed(journal.entry(fields)) == sent


def test_an_event_has_its_fields(log: Log, receiver: socket.socket) -> None:
    say(
        events.CAMERA_FAILED,
        f"camera top: failed: {SECRET}: gone\nfor good",
        camera="top",
        joint="",
    )
    assert parsed(receiver.recv(65536)) == {
        "MESSAGE": "camera top: failed: rtsp://***@camera:554/***: gone | for good [camera-failed]",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "actd",
        "MESSAGE_ID": events.CAMERA_FAILED.message_id,
        "ACTD_EVENT": "camera-failed",
        "ACTD_ROBOT": "left",
        "ACTD_CAMERA": "top",
    }


def test_a_field_has_no_secret_either(log: Log, receiver: socket.socket) -> None:
    say(events.PROCESS_SAID, "it said something", process=SECRET)
    assert "needle" not in str(parsed(receiver.recv(65536)))


def test_what_a_library_logs_is_an_event_too(log: Log, receiver: socket.socket) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    entry = parsed(receiver.recv(65536))
    assert (entry["ACTD_EVENT"], entry["PRIORITY"]) == ("library-message", "3")


def test_what_repeats_is_counted_whatever_numbers_are_in_it(
    log: Log, receiver: socket.socket
) -> None:
    for number in range(10):
        say(events.CAMERA_STALE, f"mode HOLD: camera top is {300 + number} ms old", tick=number)
    say(events.CAMERA_STALE, "mode HOLD: camera top2 is 300 ms old")
    event_log.say_repeated(whatever=True)
    entries = [parsed(receiver.recv(65536)) for _ in range(5)]
    assert [entry.get("ACTD_TICK", "-") for entry in entries] == ["0", "1", "2", "-", "9"]
    assert entries[-1]["ACTD_REPEATED"] == "6"
    assert "is 309 ms old (6 more since it was last said) [camera-stale]" in entries[-1]["MESSAGE"]
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(65536)


def test_orders_are_said_however_often(log: Log, receiver: socket.socket) -> None:
    for _ in range(9):
        say(events.MODE_CHANGED, "mode ARMED", always=True)
    assert [parsed(receiver.recv(65536))["MESSAGE"] for _ in range(9)] == [
        "mode ARMED [mode-changed]"
    ] * 9


def test_a_journal_that_takes_nothing_loses_no_line(
    log: Log, receiver: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "journal").unlink()
    say(events.CAMERA_OK, "camera top: ok", camera="top")
    assert (tmp_path / "stderr").read_text() == "camera top: ok [camera-ok]\n"


def test_on_a_terminal_it_is_one_line(
    capsys: pytest.CaptureFixture[str], fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")  # inherited, but stderr goes elsewhere
    with event_log.installed():
        say(events.CAMERA_FAILED, f"camera top: failed: {SECRET}\nis gone", camera="top")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        " WARNING camera top: failed: rtsp://***@camera:554/*** | is gone [camera-failed]"
    )
    with pytest.raises(ConfigError), event_log.installed():
        raise ConfigError("the command line says it")
    assert capsys.readouterr().err == ""
