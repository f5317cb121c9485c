"""Scored episodes of a real daemon: orders, recording, dataset, and what a failure costs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from actd.client import Operator
from actd.datasets import open_dataset
from actd.errors import LinkError
from actd.flightlog.episodes import EPISODES_FILE, episodes_of, read_events
from actd.flightlog.reader import Flight, read_flight
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.replay.decisions import verify
from tests.background import repeated
from tests.runtime.conftest import Arm, Daemon, running, wait_until, write_config
from tests.runtime.test_record import actd_record, recording, wait_for


@pytest.fixture
def scored(tmp_path: Path, small_engine: Path, video: Path, ports: Ports) -> Iterator[Daemon]:
    """A ready daemon whose recordings lie in `flights` beside its configuration."""
    sources = {"cam_high": str(video), "cam_low": str(video)}
    extra = f"flight: {{folder: {tmp_path / 'flights'}}}"
    with running(write_config(tmp_path, small_engine, ports, sources, extra), ports) as subject:
        yield subject


@contextmanager
def driving(daemon: Daemon) -> Iterator[tuple[Operator, Arm]]:
    """An operator, and an arm that follows in the background."""
    with daemon.robot() as robot, daemon.operator() as operator:
        arm = Arm(robot)
        with repeated(lambda: arm.cycle(0.1)):
            yield operator, arm


def order(operator: Operator, *what: str) -> dict[str, Any]:
    found: dict[str, Any] = operator.episode(*what)["episodes"]
    return found


def arm_now(operator: Operator) -> None:
    def armed() -> bool:
        try:
            return bool(operator.arm()["ok"])
        except LinkError:
            return False

    wait_until(armed, "the arm to be armed", 20)
    wait_until(lambda: operator.ping()["mode"] == "ARMED", "ARMED")


def drive_for(operator: Operator, seconds: float) -> None:
    def driven() -> bool:
        opened = operator.status()["episodes"]["open"]
        return opened["seconds"] is not None and opened["seconds"] > seconds

    wait_until(driven, f"the policy to drive for {seconds} s", 20)


def flight_of(daemon: Daemon) -> Flight:
    return read_flight(daemon.config.parent / "flights")


def actd(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actd", *words, "-c", str(daemon.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_scores_are_in_the_recording_and_the_dataset(scored: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "scored"
    with driving(scored) as (operator, _):
        session = actd_record(scored, "--out", str(folder), "--task", "wave", "--scored")
        wait_for(operator, "waiting")
        for place, score in (("7", "success"), ("8", "discard"), ("8", "failure")):
            assert order(operator, "start", place)["open"]["place"] == place
            arm_now(operator)
            drive_for(operator, 0.6)
            last = order(operator, score)["last"]
            assert (last["score"], last["place"]) == (score, place)
            assert last["seconds"] > 0.6
            operator.stop()
            wait_for(operator, "waiting")
            operator.reset()
        status = operator.status()["episodes"]
        counts = (status["success"], status["failure"], status["discard"], status["rate"])
        assert counts == (1, 1, 1, 0.5)
        session.send_signal(signal.SIGINT)
        said, errors = session.communicate(timeout=60)
        assert session.returncode == 0, errors
        assert said.startswith(f"2 episodes: saved: asked to end ({folder})\nnext: actd eval ")
        code, output = scored.end()
    assert code == 0, output

    flight = flight_of(scored)
    episodes = episodes_of(read_events(flight.folder))
    assert [(e.number, e.place, e.score) for e in episodes] == [
        (1, "7", "success"),
        (2, "8", "discard"),
        (3, "8", "failure"),
    ]
    for event in read_events(flight.folder):
        tick = flight.ticks[flight.ticks["number"] == event.tick][0]
        assert abs(int(tick["due_ns"]) - event.t_ns) < 1e9
        if event.kind == "driven":
            assert (tick["mode"], int(tick["due_ns"])) == (Mode.ARMED, event.t_ns)
            assert flight.ticks[flight.ticks["number"] == event.tick - 1][0]["mode"] != Mode.ARMED
    replayed = verify(flight)
    assert replayed.equal
    assert replayed.compared

    dataset = open_dataset(folder)
    assert dataset.episodes == [0, 1]
    for episode, done in ((0, 1.0), (1, 0.0)):
        columns = dataset.columns(episode, ["next.success", "next.done", "next.reward"])
        count = dataset.length(episode)
        last = np.eye(1, count, count - 1).T
        assert np.array_equal(columns["next.done"], last)
        assert np.array_equal(columns["next.success"], done * last)
        assert np.array_equal(columns["next.reward"], done * last)
        # A row every 20 ms from the first armed tick to the score.
        seconds = episodes[0 if episode == 0 else 2].seconds
        assert seconds is not None
        assert abs(count - seconds * 50) <= 2
        assert len(list(dataset.frames(episode))) == count


def test_an_order_out_of_place_is_refused_in_one_line(scored: Daemon, tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = actd(scored, *words)
        assert done.returncode == 1, done
        assert not done.stdout
        [line] = done.stderr.splitlines()
        return line

    begin = "no episode is open; begin one with `actd episode start`"
    assert begin in refused("episode", "success")
    begun = actd(scored, "episode", "start", "--place", "7")
    assert begun.stdout == "episode 1 at place 7 is open: waits for arm; no scored episode yet\n"
    with scored.operator() as operator:
        for do, place, diagnostic in (
            ("start", "", "episode 1 at place 7 is open; score it first: `actd episode success`"),
            ("failure", "", "the policy has not driven in it yet; arm first, or"),
            ("start", "left of it", "place: found 'left of it'"),
            ("shrug", "", "do: found 'shrug': known are start, success, failure, discard, status"),
        ):
            if diagnostic.startswith("place"):
                ended = json.loads(actd(scored, "episode", "discard", "--json").stdout)
                assert ended["last"]["score"] == "discard"
                assert ended["last"]["seconds"] is None
            with pytest.raises(LinkError, match=re.escape(diagnostic)):
                operator.episode(do, place)
        operator.episode("start")
        with pytest.raises(LinkError, match="episode 2 is open; score it first"):
            operator.record(str(tmp_path / "set"), "wave", scored=True)
        operator.episode("discard")
        with pytest.raises(LinkError, match="seconds: an episode ends with its score"):
            operator.record(str(tmp_path / "set"), "wave", scored=True, seconds=3.0)
        operator.record(str(tmp_path / "set"), "wave", scored=True)
        with pytest.raises(LinkError, match=r"the recording to .*/set is starting; try again"):
            operator.episode("start")
        wait_for(operator, "waiting")
        operator.episode("start")
        with pytest.raises(LinkError, match="episode 3 is open; score it first"):
            operator.stop_recording()
        operator.episode("discard")
        operator.stop_recording()
        assert wait_for(operator, "empty")["episodes"] == 0
    assert not (tmp_path / "set").exists()


def lose_the_flight_recorder_and_its_disk(daemon: Daemon, operator: Operator) -> None:
    """What was written stays, whoever dies; what cannot be written waits."""
    events = flight_of(daemon).folder / EPISODES_FILE
    daemon.child("flight_recorder").kill()

    def opens() -> bool:
        try:
            return bool(order(operator, "start", "8"))
        except LinkError:  # until it is back
            return False

    wait_until(opens, "an episode to be opened", 20)
    wait_until(lambda: len(events.read_text().splitlines()) == 5, "the newest event on disk")
    before = events.read_text()
    events.unlink()
    events.mkdir()  # as good as a full disk
    order(operator, "discard")
    failed = "failed: "
    wait_until(lambda: operator.status()["flight"].startswith(failed), "the recorder to say so")
    [warning] = operator.episode("status")["warnings"]
    assert warning.startswith("the score is not on disk yet: ")
    with pytest.raises(LinkError, match="nothing would keep the score: the flight recorder: "):
        operator.episode("start")
    events.rmdir()
    wait_until(lambda: operator.status()["flight"].startswith("recording"), "it to go on")
    assert events.read_text().startswith(before)


def lose_the_dataset_recorder(daemon: Daemon, operator: Operator) -> None:
    """Scoring goes on, and says so."""
    processes = psutil.Process(daemon.process.pid).children()
    next(p for p in processes if "actd.runtime.scored_recorder" in p.cmdline()).kill()
    wait_for(operator, "failed")
    order(operator, "start", "8")
    [warning] = operator.episode("discard")["warnings"]
    assert warning.startswith("not in the dataset: killed by signal 9")


@pytest.mark.slow
def test_whatever_ends_the_motion_an_operator_scores(scored: Daemon, tmp_path: Path) -> None:
    folder = tmp_path / "scored"
    with driving(scored) as (operator, _):
        operator.record(str(folder), "wave", scored=True)
        wait_for(operator, "waiting")
        order(operator, "start")
        arm_now(operator)
        drive_for(operator, 0.5)
        scored.child("inference").kill()  # FAULT
        wait_until(lambda: order(operator, "status")["open"]["halted"], "the episode to end")
        opened = order(operator, "status")["open"]
        assert opened["halted"] == "FAULT"
        assert wait_for(operator, "unscored")["why"].startswith("the daemon went to FAULT: ")
        operator.reset()
        last = order(operator, "failure")["last"]
        assert last["seconds"] == opened["seconds"], "the time ends with the motion"
        wait_for(operator, "waiting")

        lose_the_flight_recorder_and_its_disk(scored, operator)
        lose_the_dataset_recorder(scored, operator)

        # The next one is open when the daemon ends.
        operator.record(str(folder), "wave", scored=True)
        wait_for(operator, "waiting")
        order(operator, "start", "9")
        arm_now(operator)
        drive_for(operator, 0.3)
        wait_until(lambda: recording(operator)["frames"] > 0, "rows")
        code, output = scored.end(signal.SIGTERM)
    assert code == 0, output
    assert "episode 4 was open: it has no score and does not count" in output
    episodes = episodes_of(read_events(flight_of(scored).folder))
    assert [(e.place, e.score) for e in episodes] == [
        ("", "failure"),
        ("8", "discard"),
        ("8", "discard"),
        ("9", ""),
    ]
    dataset = open_dataset(folder)
    assert dataset.episodes == [0]
    assert not dataset.vectors(0, "next.success").any()
