"""A recording as MCAP, read back by MCAP's own reader, which shares no code with the writer."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from numpy.lib.recfunctions import repack_fields
from typer.testing import CliRunner

from actd.cli import app
from actd.errors import RecordingError, UsageError
from actd.flightlog.reader import Flight, read_flight
from actd.mode import Mode
from actd.replay.mcap import write_mcap
from actd.replay.timeline import moments
from actd.runtime.channels import EVENTS
from tests.replay.flights import Invented, eventful, save, without
from tests.runs import START_NS

STARTED_UNIX_NS = 1_768_210_200 * 10**9


def quietly(done: int, total: int) -> None:
    assert 0 < done <= total


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    return read_flight(save(eventful().flight, tmp_path_factory.mktemp("flights")))


@pytest.fixture(scope="module")
def file(flight: Flight, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcap") / "run.mcap"
    write_mcap(flight, path, quietly)
    return path


def messages(file: Path, topic: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Time in ns and numbers by name, in order."""
    with file.open("rb") as stream:
        for schema, _, message in make_reader(stream, validate_crcs=True).iter_messages([topic]):
            assert schema is not None
            assert (schema.name, schema.encoding) == ("lerobot.Scalars", "jsonschema")
            scalars = json.loads(message.data)["scalars"]
            yield message.log_time, {each["label"]: each["value"] for each in scalars}


def test_a_run_of_an_older_actd_is_named(flight: Flight, tmp_path: Path) -> None:
    fields = [name for name in flight.ticks.dtype.names or () if name != "leader"]
    layout = [field for field in flight.settings["dtypes"]["ticks"] if field[0] != "leader"]
    settings = {**flight.settings, "dtypes": {**flight.settings["dtypes"], "ticks": layout}}
    ticks = repack_fields(flight.ticks[fields])
    run = save(replace(flight, settings=settings, ticks=ticks), tmp_path)
    words = (
        r"run\.json: .*another version of actd \(its ticks lack leader.*name a run of this version"
    )
    with pytest.raises(RecordingError, match=words):
        write_mcap(read_flight(run), tmp_path / "run.mcap", quietly)


def logs(file: Path) -> list[tuple[int, bytes]]:
    with file.open("rb") as stream:
        return [
            (message.log_time, message.data)
            for _, _, message in make_reader(stream).iter_messages(["/actd/events"])
        ]


def expected_time(tick: Any) -> int:
    return STARTED_UNIX_NS + int(tick["sent_ns"]) - START_NS


@pytest.mark.parametrize(
    ("topic", "field"), [("/action/state", "action"), ("/observation/state", "positions")]
)
def test_every_number_comes_back_at_its_time(
    flight: Flight, file: Path, topic: str, field: str
) -> None:
    ticks = [tick for tick in flight.ticks if not np.isnan(tick[field]).any()]
    found = list(messages(file, topic))
    assert [t_ns for t_ns, _ in found] == [expected_time(tick) for tick in ticks]
    assert [[*values.values()] for _, values in found] == [tick[field].tolist() for tick in ticks]
    assert {tuple(values) for _, values in found} == {("a", "b")}


def test_a_tick_says_what_it_did_and_what_it_had(flight: Flight, file: Path) -> None:
    ticks, ages = dict(messages(file, "/actd/tick")), dict(messages(file, "/actd/ages"))
    assert len(ticks) == len(ages) == len(flight.ticks)
    armed = next(tick for tick in flight.ticks if tick["mode"] == Mode.ARMED and tick["chunk"])
    values = ticks[expected_time(armed)]
    assert values == {
        "mode": 1,
        "chunk": int(armed["chunk"]),
        "n": int(armed["n"]),
        "flags": int(armed["flags"]),
        "late_us": 0.0,
        "work_us": 0.0,
        "age_ms": int(armed["chunk_age_ns"]) / 1e6,
        "infer_ms": 0.0,
    }
    assert ages[expected_time(armed)] == {"robot_state": 1.0, "top": 5.0}


def test_events_are_logs_with_the_sentence_of_the_report(flight: Flight, file: Path) -> None:
    sentences = moments(flight.ticks, EVENTS)
    found = logs(file)
    assert len(found) == len(sentences) > 8
    for (_, data), moment in zip(found, sentences, strict=True):
        assert moment.text.encode() in data
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(found))


def test_the_file_says_what_it_is(flight: Flight, file: Path) -> None:
    with file.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        about = {each.name: each.metadata for each in reader.iter_metadata()}
        attached = {each.name: json.loads(each.data) for each in reader.iter_attachments()}
    assert about["actd"] == {
        "run": "invented",
        "actd": "0.1.0",
        "robot": "robot",
        "units": "rad",
        "engine": "ort-int8",
    }
    assert attached == {"run.json": json.loads((flight.folder / "run.json").read_text())}


def test_lost_ticks_are_missing_and_said(tmp_path: Path) -> None:
    flight = read_flight(save(without(eventful().flight, 100, 101), tmp_path))
    write_mcap(flight, tmp_path / "x.mcap", quietly)
    assert len(list(messages(tmp_path / "x.mcap", "/actd/tick"))) == len(flight.ticks)
    assert any(
        b"2 ticks before this were not recorded" in data for _, data in logs(tmp_path / "x.mcap")
    )


def test_nothing_is_written_over_and_nothing_half_is_left(flight: Flight, tmp_path: Path) -> None:
    target = tmp_path / "run.mcap"
    target.write_text("mine")
    with pytest.raises(UsageError, match=r"run\.mcap: exists; remove it, or give another --out"):
        write_mcap(flight, target, quietly)
    assert target.read_text() == "mine"

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mcap(flight, tmp_path / "new.mcap", interrupt)
    with pytest.raises(UsageError, match=r"cannot be written \(No such .*\); choose another --out"):
        write_mcap(flight, tmp_path / "none" / "new.mcap", quietly)
    with pytest.raises(RecordingError, match="no tick was recorded"):
        write_mcap(replace(flight, ticks=flight.ticks[:0]), tmp_path / "new.mcap", quietly)
    assert [path.name for path in tmp_path.iterdir()] == ["run.mcap"]


def test_the_command_names_its_file(flight: Flight, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["mcap", str(flight.folder)])
    assert done.exit_code == 0, done.output
    assert "wrote invented.mcap" in done.output
    assert (tmp_path / "invented.mcap").read_bytes().startswith(b"\x89MCAP0\r\n")


def test_a_full_disk_is_one_line_and_leaves_nothing(flight: Flight, tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does: in the middle of a write."""
    target = tmp_path / "x.mcap"
    done = subprocess.run(
        [sys.executable, "-m", "actd", "mcap", str(flight.folder), "--out", str(target)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    words = "cannot be written (File too large); free some space, or choose another --out"
    assert done.stderr == f"{target}: {words}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_the_making_of_one_tick(tmp_path: Path) -> None:
    run = Invented()
    run.tick()
    flight = read_flight(save(run.flight, tmp_path))
    write_mcap(flight, tmp_path / "x.mcap", quietly)
    assert list(messages(tmp_path / "x.mcap", "/action/state")) == []
    assert len(logs(tmp_path / "x.mcap")) == 1
