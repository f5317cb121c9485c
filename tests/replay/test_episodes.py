"""Which engine succeeds how often, from recordings as a daemon leaves them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.errors import RecordingError
from actd.flightlog.episodes import EPISODES_FILE, EpisodeEvent, EpisodeLog, Kind, episodes_of
from actd.flightlog.reader import RUN_FILE, read_flight
from actd.proportions import mcnemar, wilson
from actd.replay.episodes import Condition, judge, read_scores
from actd.replay.page import flight_page
from tests.cli.test_cli import actd
from tests.report.flights import CAMERAS, deployed, fly, record
from tests.runs import START_NS, run_json

Attempt = tuple[str, Kind | None, float]
"""Place, score (None: the daemon ended), seconds."""


def events(attempts: Sequence[Attempt], unix_s: float = 1e9) -> list[EpisodeEvent]:
    """What a daemon writes of attempts that were driven, one after the other."""
    made: list[EpisodeEvent] = []
    t_ns = START_NS

    def add(kind: Kind, episode: int, place: str) -> None:
        number = len(made) + 1
        made.append(
            EpisodeEvent(
                number, episode, kind, 10 * number, t_ns, unix_s + t_ns / 1e9, "ARMED", place
            )
        )

    for episode, (place, score, seconds) in enumerate(attempts, 1):
        t_ns += 1_000_000_000
        add("start", episode, place)
        add("driven", episode, place)
        t_ns += round(seconds * 1e9)
        if score is not None:
            add(score, episode, place)
    return made


def recorded(
    flights: Path, name: str, engine: str, attempts: Sequence[Attempt], unix_s: float = 1e9
) -> Path:
    """A run of this engine, its segments long gone."""
    run = flights / name
    run.mkdir(parents=True)
    content = run_json(name, deployed(50.0), CAMERAS)
    content["engine"] = {"name": engine, "folder": "/x", "sha256": {"m.onnx": engine[-1]}}
    (run / RUN_FILE).write_text(json.dumps(content))
    log = EpisodeLog(run)
    for event in events(attempts, unix_s):
        log.append(event)
    return run


INT8: list[Attempt] = [("1", "success", 4.0), ("2", "failure", 9.0), ("3", "success", 6.0)]
FP32: list[Attempt] = [("1", "success", 5.0), ("2", "success", 8.0), ("3", "failure", 9.0)]


def test_engines_are_compared_where_they_were_at_the_same_places(tmp_path: Path) -> None:
    recorded(tmp_path, "a", "ort-int8", INT8)
    more: list[Attempt] = [("1", "failure", 3.0), ("9", "discard", 2.0), ("", "success", 5.0)]
    recorded(tmp_path, "b", "ort-int8", [*more, ("4", None, 1.0)], 2e9)
    recorded(tmp_path, "c", "ort-fp32", FP32, 3e9)
    recorded(tmp_path, "d", "ort-fp32", [("1", "success", 5.0), ("8", "success", 7.0)], 4e9)
    (tmp_path / "e").mkdir()  # a run of which nothing was scored is no matter
    (tmp_path / "e" / RUN_FILE).write_text("{}")
    scores = read_scores([tmp_path, tmp_path / "a"])
    assert scores.runs == 4
    fp32, int8 = scores.scores
    assert (fp32.condition.engine, fp32.condition.mode) == ("ort-fp32", "temporal -0.1")
    assert (int8.successes, int8.failures, int8.discarded, int8.unscored) == (3, 2, 1, 1)
    assert int8.success_s == (4.0, 5.0, 6.0)
    [comparison] = scores.comparisons
    # Places 1, 2, 3, and 1 once more; place 8, 9 and none have no partner.
    assert comparison.pairs == 4
    assert (comparison.both, comparison.only_first, comparison.only_second) == (1, 2, 1)
    assert comparison.p == mcnemar(2, 1)


def test_engines_of_one_name_and_modes_stay_apart(tmp_path: Path) -> None:
    recorded(tmp_path, "a", "ort-int8", INT8)
    run = recorded(tmp_path, "b", "ort-int8", INT8)
    content = json.loads((run / RUN_FILE).read_text())
    content["engine"]["sha256"] = {"m.onnx": "another training"}
    (run / RUN_FILE).write_text(json.dumps(content))
    run = recorded(tmp_path, "c", "ort-int8", INT8)
    content = json.loads((run / RUN_FILE).read_text())
    content["control"]["chunk"]["mode"] = "queue"
    (run / RUN_FILE).write_text(json.dumps(content))
    scores = read_scores([tmp_path])
    labels = [scores.label(score.condition) for score in scores.scores]
    assert labels[0] == "ort-int8, queue 50"
    assert all(label.startswith("ort-int8, temporal -0.1 (") for label in labels[1:])
    assert len(set(labels)) == 3
    assert len(scores.comparisons) == 3


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_every_pair_is_counted_once(chances: list[tuple[str, bool, bool]]) -> None:
    first, second = (Condition("robot", name, "latest", "") for name in ("a", "b"))
    words: dict[bool, Kind] = {True: "success", False: "failure"}
    pairs = [(place, words[a], words[b]) for place, a, b in chances]
    attempts = [(first, e) for e in episodes_of(events([(p, a, 1.0) for p, a, _ in pairs]))]
    attempts += [(second, e) for e in episodes_of(events([(p, b, 1.0) for p, _, b in pairs]))]
    random.Random(1).shuffle(attempts)
    scores = judge(attempts, 1)
    if not chances:
        assert scores.comparisons == ()
        return
    [comparison] = scores.comparisons
    assert comparison.pairs == len(chances)
    assert comparison.both == sum(a and b for _, a, b in chances)
    assert comparison.only_first == sum(a and not b for _, a, b in chances)
    assert comparison.only_second == sum(b and not a for _, a, b in chances)


def test_the_command_says_it_as_a_table_as_json_and_as_a_page(tmp_path: Path) -> None:
    recorded(tmp_path / "flights", "a", "ort-int8", INT8)
    recorded(tmp_path / "flights", "b", "ort-fp32", [("1", "success", 4.5)], 2e9)
    page = tmp_path / "episodes.html"
    done = actd("report", "--episodes", tmp_path / "flights", "--out", page)
    assert done.returncode == 0, done.stderr
    low, high = wilson(2, 3)
    assert "2 of 3 (67%)" in done.stdout
    assert f"{100 * low:.1f}–{100 * high:.1f} %" in done.stdout
    assert "5.0 (4.0–6.0)" in done.stdout
    assert "ort-fp32, temporal -0.1 / ort-int8, temporal -0.1" in done.stdout
    text = page.read_text()
    assert "2 of 3 (67%)" in text
    assert "McNemar" in text

    done = actd("report", "--episodes", "--json", tmp_path / "flights" / "a")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["comparisons"] == []
    assert found["engines"][0]["rate"] == pytest.approx(2 / 3)
    assert found["engines"][0]["success_s"] == {"median": 5.0, "min": 4.0, "max": 6.0}


def test_what_cannot_be_compared_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match="no scored episode; `actd episode start` opens one"):
        read_scores([tmp_path / "empty"])
    with pytest.raises(RecordingError, match="no such folder"):
        read_scores([tmp_path / "nowhere"])
    run = recorded(tmp_path / "flights", "a", "ort-int8", INT8)
    whole = (run / RUN_FILE).read_text()
    content = json.loads(whole)
    for engine in ({}, {"name": "x", "sha256": 5}, {"name": "x", "sha256": {"f": {}}}):
        (run / RUN_FILE).write_text(json.dumps(content | {"engine": engine}))
        if engine.get("sha256") == {"f": {}}:
            read_scores([run])
            continue
        with pytest.raises(RecordingError, match="engine: damaged, name or sha256 is missing"):
            read_scores([run])
    (run / RUN_FILE).unlink()
    with pytest.raises(RecordingError, match=r"run\.json: cannot be read"):
        read_scores([run.parent])
    done = actd("report", run, tmp_path)
    assert done.returncode == 2
    assert "with --episodes there may be several" in done.stderr
    assert actd("report", "--json", run).returncode == 2


def test_a_damaged_line_costs_that_line(tmp_path: Path) -> None:
    flights = tmp_path / "demo" / "flights"
    run = recorded(flights, "a", "ort-int8", INT8)
    recorded(flights, "b", "ort-fp32", FP32)
    old = recorded(flights, "c", "ort-fp32", FP32)
    (old / RUN_FILE).write_text("{}")
    file = run / EPISODES_FILE
    lines = file.read_text().splitlines(keepends=True)
    lines[5] = '{"number": 6}\n'  # the score of the second
    file.write_text("".join(lines))
    page = tmp_path / "episodes.html"
    done = actd("report", "--episodes", tmp_path / "demo", "--out", page)
    assert done.returncode == 1
    assert "2 of 2 (100%)" in done.stdout
    assert "2 of 3 (67%)" in done.stdout
    first, second = done.stderr.splitlines()
    assert first.startswith(f"warning: not counted: {file}: line 6 is damaged")
    assert second.startswith(f"warning: not counted: {old / RUN_FILE}: cannot be read")
    assert "line 6 is damaged" in page.read_text()
    done = actd("report", "--episodes", "--json", tmp_path / "demo")
    found = json.loads(done.stdout)
    assert (done.returncode, found["runs"], len(found["damage"])) == (1, 2, 2)
    assert found["engines"][1]["unscored"] == 1


def test_the_page_of_a_run_has_its_episodes(tmp_path: Path) -> None:
    run = record(fly(0.04), tmp_path)
    log = EpisodeLog(run)
    for event in events([("7", "success", 2.0), ("8", None, 1.0)]):
        log.append(event)
    assert (run / EPISODES_FILE).exists()
    text = flight_page(read_flight(run))
    for words in (">Episodes<", "One by one", "1 of 1 (100%)", "episode 1 at place 7: success"):
        assert words in text, words
