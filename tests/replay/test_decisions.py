"""A recording decides the same again, to the last bit, and what differs is found."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.control.state import Event, Phase
from actd.errors import RecordingError
from actd.mode import Mode
from actd.replay.decisions import verify
from actd.replay.tables import result_lines
from tests.replay.flights import PERIOD_NS, Invented, eventful, led, moved, save, without

MODES = ["temporal", "queue", "latest"]


@pytest.mark.parametrize("mode", MODES)
def test_every_decision_is_made_again_bit_for_bit(mode: str) -> None:
    run = eventful(mode)
    flight = run.flight
    assert {Mode(mode) for mode in flight.ticks["mode"]} == set(Mode) - {
        Mode.MOVING,
        Mode.TAKEOVER,
    }
    result = verify(flight)
    assert result.equal
    assert result.compared == len(run.ticks)
    assert result.first_tick == 1
    assert "bit for bit" in result_lines(result)[-1]


def test_so_is_every_step_of_a_move_to_a_pose() -> None:
    flight = moved().flight
    modes = flight.ticks["mode"]
    changes = [Mode(mode) for mode in modes[np.flatnonzero(np.diff(modes, prepend=99))]]
    assert changes[3:] == [
        *(Mode.MOVING, Mode.HOLD),
        *(Mode.MOVING, Mode.ARMED, Mode.HOLD),
        *(Mode.MOVING, Mode.STOP),
    ]
    result = verify(flight)
    assert result.equal
    assert result.compared == len(flight.ticks)
    flight.ticks["move_left_ns"][np.flatnonzero(modes == Mode.MOVING)[7]] += 1
    assert verify(flight).differing == 1


def test_so_is_every_step_after_a_leader() -> None:
    flight = led().flight
    modes = flight.ticks["mode"]
    changes = [Mode(mode) for mode in modes[np.flatnonzero(np.diff(modes, prepend=99))]]
    turn = [Mode.TAKEOVER, Mode.ARMED, Mode.TAKEOVER, Mode.HOLD, Mode.ARMED]
    assert changes == [Mode.IDLE, Mode.ARMED, *turn, *turn]
    result = verify(flight)
    assert result.equal
    assert result.compared == len(flight.ticks)
    flight.ticks["leader"][np.flatnonzero(modes == Mode.TAKEOVER)[40]] += 1e-3
    assert verify(flight).differing > 0


def test_a_chunk_observed_after_the_tick_was_due_is_replayed_too() -> None:
    """A tick that wakes late takes one in; its negative age was recorded as no age."""
    run = Invented(observed_before_ns=-PERIOD_NS // 4)
    run.run(20)
    run.tick(Event.ARM)
    run.run(20)
    assert run.controller.modes.phase is Phase.ARMED
    assert verify(run.flight).equal


@pytest.mark.parametrize("field", ["action", "flags", "n", "chunk", "chunk_age_ns", "mode"])
def test_the_first_tick_that_differs_is_named(field: str) -> None:
    flight = eventful().flight
    ticks = flight.ticks.copy()
    armed = np.flatnonzero(ticks["mode"] == Mode.ARMED)
    for index in (armed[50], armed[90]):
        if field == "action":
            ticks[field][index] = np.nextafter(ticks[field][index], 10)
        else:
            ticks[field][index] += 1
    result = verify(replace(flight, ticks=ticks))
    difference = result.first_difference
    assert not result.equal
    assert result.differing == 2
    assert difference is not None
    assert difference.tick == armed[50] + 1
    assert (difference.largest > 0) == (field == "action")
    assert difference.recorded[field] != difference.replayed[field]
    assert field in "\n".join(result_lines(result))
    assert json.loads(json.dumps(asdict(result)))["differing"] == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_recording_whose_beginning_is_gone_starts_in_idle(mode: str) -> None:
    """In the middle of the first IDLE, where a chunk of before may still be read."""
    run = Invented(mode)
    run.run(200)
    flight = run.flight
    result = verify(replace(flight, ticks=flight.ticks[20:]))
    assert result.equal
    assert 20 < result.first_tick < 160
    assert result.compared + result.skipped == result.ticks == 180


@pytest.mark.parametrize("mode", MODES)
def test_a_recording_that_begins_armed_starts_after_the_next_reset(mode: str) -> None:
    flight = eventful(mode).flight
    cut = 200
    reset = 1 + next(
        i for i in range(cut, len(flight.ticks)) if flight.ticks["mode"][i] == Mode.IDLE
    )
    result = verify(replace(flight, ticks=flight.ticks[cut:]))
    assert result.equal
    assert result.first_tick == reset + 1


@pytest.mark.parametrize("mode", MODES)
def test_a_gap_is_bridged_at_the_next_reset_and_never_guessed(mode: str) -> None:
    flight = without(eventful(mode).flight, 150, 151)
    result = verify(flight)
    assert result.equal
    assert result.first_tick == 1
    assert result.skipped > 100


def test_a_lost_plan_ends_what_can_be_judged() -> None:
    flight = eventful().flight
    chunks = flight.chunks[flight.chunks["number"] != 40]
    result = verify(replace(flight, chunks=chunks))
    assert result.equal
    assert result.skipped > 100


def test_nothing_to_start_from_is_said() -> None:
    flight = eventful().flight
    with pytest.raises(RecordingError, match="none of 50 ticks to start from"):
        verify(replace(flight, ticks=flight.ticks[70:120]))


def test_the_command_says_whether_all_is_the_same(tmp_path: Path) -> None:
    flight = eventful().flight
    save(flight, tmp_path / "same")
    same = CliRunner().invoke(app, ["replay", str(tmp_path / "same")])
    assert same.exit_code == 0, same.output
    assert "bit for bit" in same.stdout
    assert "next: actd report" in same.stdout
    ticks = flight.ticks.copy()
    ticks["flags"][200] ^= 1
    run = save(replace(flight, ticks=ticks), tmp_path / "other")
    other = CliRunner().invoke(app, ["replay", str(run), "--json"])
    assert other.exit_code == 1
    assert json.loads(other.stdout)["first_difference"]["tick"] == 201


def test_the_command_takes_the_newest_recording_of_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    save(eventful().flight, tmp_path / "flights")
    done = CliRunner().invoke(app, ["replay"])
    assert done.exit_code == 0, done.output
