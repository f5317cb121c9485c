"""The episodes' file: what was scored is read back, whoever died and whatever was pruned."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.errors import RecordingError
from actd.flightlog.episodes import (
    EPISODES_FILE,
    KINDS,
    EpisodeEvent,
    EpisodeLog,
    Kind,
    episodes_of,
    read_events,
)
from actd.flightlog.reader import RUN_FILE, segment_files
from actd.flightlog.writer import prune
from tests.flightlog.test_flightlog import append_ticks, new_log


def event(number: int, kind: Kind, episode: int = 1, t_ns: int = 0) -> EpisodeEvent:
    return EpisodeEvent(number, episode, kind, 10 * number, t_ns, 1.5 * number, "ARMED", "7")


def write(run: Path, events: list[EpisodeEvent]) -> None:
    log = EpisodeLog(run)
    log.begin()
    for each in events:
        log.append(each)


def test_events_come_back_and_are_continued(tmp_path: Path) -> None:
    assert read_events(tmp_path) == ()
    events = [event(number, kind) for number, kind in enumerate(KINDS, 1)]
    write(tmp_path, events[:3])
    log = EpisodeLog(tmp_path)
    log.begin()
    assert log.last == 3
    log.append(events[3])
    assert read_events(tmp_path) == tuple(events[:4])


@settings(max_examples=40)
@given(st.integers(0, 400))
def test_a_line_in_parts_costs_that_line(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        events = [event(number, "start") for number in (1, 2, 3)]
        write(run, events)
        path = run / EPISODES_FILE
        lines = path.read_bytes().splitlines(keepends=True)
        os.truncate(path, max(0, path.stat().st_size - cut))
        whole, size = 0, 0
        for line in lines:
            size += len(line)
            whole += size <= path.stat().st_size
        assert read_events(run) == tuple(events[:whole])
        write(run, [event(4, "success")])
        assert read_events(run) == (*events[:whole], event(4, "success"))


@pytest.mark.parametrize("line", ["{}", "[]", '{"number": 1}', "nonsense", '"text"'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    write(tmp_path, [event(1, "start")])
    with (tmp_path / EPISODES_FILE).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(RecordingError, match=r"episodes\.jsonl: line 2 is damaged"):
        read_events(tmp_path)


def test_time_ends_with_the_motion() -> None:
    start, driven = event(1, "start"), event(2, "driven", t_ns=1_000_000_000)
    halted = replace(event(3, "halted", t_ns=3_500_000_000), mode="FAULT")
    score = event(4, "success", t_ns=60_000_000_000)
    [episode] = episodes_of([start, driven, halted, score])
    assert (episode.seconds, episode.mode, episode.score) == (2.5, "FAULT", "success")
    [episode] = episodes_of([start, driven, score])
    assert (episode.seconds, episode.mode) == (59.0, "")
    [episode] = episodes_of([start, driven])
    assert (episode.seconds, episode.score) == (None, "")
    assert episodes_of([driven, score]) == (), "nothing is known of an episode without its start"


def test_scores_outlive_the_segments(tmp_path: Path) -> None:
    for run in ("a", "b"):
        log = new_log(tmp_path, run)
        append_ticks(log, range(1, 200))
        log.close()
    write(tmp_path / "a", [event(1, "start")])
    current = new_log(tmp_path, "c")
    prune(tmp_path, tmp_path / "c", set(), 0)
    current.close()
    assert not segment_files(tmp_path / "a")
    assert (tmp_path / "a" / RUN_FILE).exists()
    assert read_events(tmp_path / "a") == (event(1, "start"),)
    assert not (tmp_path / "b").exists()
