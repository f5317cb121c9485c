"""The closed-loop bench: when things happen in it, what it counts, and that it goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.engine.base import Observation
from actd.engine.load import load_engine
from actd.engine.observations import random_observation
from actd.errors import ActdError
from actd.proportions import newcombe
from actd.sim.aloha import AlohaSim
from actd.sim.scene import BAR
from bench.closed_loop import lockstep, page, realtime
from bench.closed_loop.cells import (
    DELAYS_MS,
    FIRST_UNTOUCHED,
    SHIFT_CM,
    Cell,
    claims,
    moments,
    plan,
)
from bench.closed_loop.contestants import Contestants
from bench.closed_loop.lockstep import (
    MS,
    ROW_NS,
    Attempt,
    Daemon,
    Look,
    RecordLoop,
    Stage,
    first_inference_ns,
    iteration,
    largest_step,
    next_inference_ns,
    rms_jerk,
)
from bench.closed_loop.outcome import difference, metrics, outcome, reference_of
from bench.closed_loop.realtime import Turn
from bench.closed_loop.results import Result, Results, read_all
from bench.closed_loop.slower import slower
from bench.lerobot_peer import VARIABLE

ROOT = Path(__file__).parents[2]
DEMO = {"all-int8": ROOT / "engines" / "demo" / "all-int8"}
QUEUE = Cell("queue", "all-int8", 100, rows=25)
MACHINE = {"cpu": "one", "cores": 2, "gpu": "not of interest"}


def attempts(*seconds: float | None) -> list[Attempt]:
    return [Attempt(place, s, 0.1, 10.0, 5) for place, s in enumerate(seconds)]


def result(engine: str, *seconds: float | None) -> Result:
    return Result(Cell("queue", engine, 100, rows=25), "p", MACHINE, attempts(*seconds))


def test_lerobots_loop_waits_for_its_policy_and_the_daemon_does_not_hurry() -> None:
    assert iteration(0, 0) == (0, ROW_NS)
    assert iteration(80 * MS, 30 * MS) == (110 * MS, 120 * MS)
    assert iteration(80 * MS, 100 * MS) == (180 * MS, 180 * MS)
    assert next_inference_ns(0, 0) == ROW_NS
    assert next_inference_ns(40 * MS, 100 * MS) == 140 * MS
    assert [first_inference_ns(delay * MS) // MS for delay in sorted(DELAYS_MS)] == [
        *(-100, -120, -250, -500, -1000)
    ]


@given(st.lists(st.sampled_from(DELAYS_MS), min_size=1, max_size=50))
def test_an_action_is_never_sent_before_the_one_before(spent_ms: list[int]) -> None:
    start_ns = sent_ns = 0
    for spent in spent_ms:
        this = iteration(start_ns, spent * MS)
        assert sent_ns <= this.sent_ns <= this.next_ns
        assert this.next_ns - start_ns == max(spent * MS, ROW_NS)
        sent_ns, start_ns = this.sent_ns, this.next_ns


def test_motion_is_counted_without_grippers() -> None:
    positions = np.zeros((10, 14))
    positions[5:, 6] = 1.0  # a gripper
    assert (largest_step(positions), rms_jerk(positions)) == (0.0, 0.0)
    positions[5:, 0] = 0.5
    assert largest_step(positions) == 0.5
    steady = np.tile(np.arange(10.0)[:, None] ** 2, 14)  # constant acceleration has no jerk
    assert rms_jerk(steady) == pytest.approx(0.0)
    cubic = np.tile(np.arange(10.0)[:, None] ** 3, 14)
    assert rms_jerk(cubic) == pytest.approx(6 / 0.02**3)


def test_every_cell_is_planned_once_and_engines_at_most_places() -> None:
    tasks = plan(["all-int8", "ort-fp32"], has_lerobot=True, places=200, survey=60)
    names = [task.cell.name for task in tasks]
    assert len(set(names)) == len(names) == len({task.cell for task in tasks})
    claims = [task.cell for task in tasks if task.places == 200]
    assert {cell.engine for cell in claims} == {"all-int8", "ort-fp32"}
    assert {cell.shift_cm for cell in claims} == {0, SHIFT_CM}
    alone = plan(["mine"], has_lerobot=False, places=200, survey=60)
    assert all(task.places == 60 and task.cell.engine == "mine" for task in alone)
    assert not any(task.cell.contestant.startswith("LeRobot") for task in alone)


def test_what_is_claimed_is_played_beside_what_it_is_held_against() -> None:
    cells = list(claims("all-int8", has_lerobot=True))
    assert len(set(cells)) == len(cells) == 4 * 8
    for before, after in page.PAIRS:
        assert {before, after} <= {cell.contestant for cell in cells}
    later = list(moments("all-int8", has_lerobot=True))
    assert len({cell.name for cell in (*cells, *later)}) == len(cells) + 4 * 8
    assert {cell.contestant for cell in later} == {cell.contestant for cell in cells}
    alone = {cell.contestant for cell in claims("all-int8", has_lerobot=False)}
    assert len(alone) == 5
    assert all(name.startswith("actd") for name in alone)


def test_cells_are_compared_at_the_places_that_both_have_played() -> None:
    exact, rough = result("ort-fp32", 3.0, 3.0, 3.0, None), result("all-int8", 4.0, None, 3.0)
    of = difference(rough, exact)
    assert (of.places, of.lost, of.gained, of.p) == (3, 1, 0, 1.0)
    assert of.points_lost == pytest.approx(100 / 3)
    assert outcome(rough).seconds == 3.5
    assert metrics([exact, rough])["int8.points_lost"] == pytest.approx(100 / 3)
    assert "int8.points_lost" not in metrics([rough])
    # Torch, played at fewer places, would tell less.
    assert reference_of(rough, [result("torch", 3.0), exact, rough]) == exact


def test_in_real_time_actd_is_held_against_the_better_of_lerobots_loops() -> None:
    turns = {
        "actd": [Turn(10, 9, 5.0, 0), Turn(10, 9, 7.0, 1)],
        "select_action": [Turn(20, 10, 50.0, 0)],
        "ensembler": [Turn(20, 16, 50.0, 0)],
    }
    figures = realtime.metrics(turns)
    assert figures["actd.over_lerobot"] == pytest.approx(0.1)
    assert figures["actd.over_lerobot_low"] == pytest.approx(newcombe((18, 20), (16, 20))[0])
    assert figures["actd.infer_p50_ms"] == 6.0


def test_a_result_is_read_as_it_was_written_and_belongs_to_its_policy(tmp_path: Path) -> None:
    results = Results(tmp_path / "new", "mine", MACHINE)
    assert results.of(QUEUE).attempts == []
    results.write(Result(QUEUE, "mine", MACHINE, attempts(3.0, None)))
    assert results.of(QUEUE).attempts == attempts(3.0, None)
    (written,) = read_all(tmp_path / "new")
    assert (written.cell, written.policy, written.machine) == (
        QUEUE,
        "mine",
        {"cpu": "one", "cores": 2},
    )
    with pytest.raises(
        ActdError, match=r"100ms\.json is of policy mine, not of other; give another"
    ):
        Results(tmp_path / "new", "other", MACHINE).of(QUEUE)
    with pytest.raises(ActdError, match=r"begins at place 0, not at 1000; give another folder"):
        Results(tmp_path / "new", "mine", MACHINE, FIRST_UNTOUCHED).of(QUEUE)
    (tmp_path / "new" / f"{QUEUE.name}.json").write_text("{}")
    with pytest.raises(ActdError, match="no result of this bench"):
        results.of(QUEUE)


def test_a_table_goes_between_its_marks() -> None:
    text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb"
    assert page.filled(text, "x", "new") == "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb"
    with pytest.raises(ActdError, match="no <!-- y: begin -->"):
        page.filled(text, "y", "new")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with AlohaSim(BAR) as sim:
        yield Stage(sim)


def test_the_shipped_policy_lifts_the_bar_and_the_same_attempt_ends_the_same(
    stage: Stage, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        driver = Contestants(DEMO, None, 1, stack, tmp_path).driver(QUEUE)
        first = stage.attempt(driver, 0)
        assert first.seconds is not None
        assert 2.0 < first.seconds < 6.0
        # It is armed in the middle of an inference; then there is one every 100 ms.
        assert first.inferences == int((first.seconds - 0.05) / 0.1) + 1
        assert stage.attempt(driver, 0) == first
        moved = stage.attempt(driver, 0, SHIFT_CM)
        assert moved != first
        assert stage.attempt(driver, 0, SHIFT_CM, 9_000) == first, "it is over by then"


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_the_daemon_has_looked_before_it_is_armed_and_moves_at_once(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delay_ms: int
) -> None:
    told: dict[int, np.ndarray | None] = {}
    targets = Daemon.targets

    def noted(self: Daemon, now_ns: int, positions: np.ndarray, look: Look) -> np.ndarray | None:
        told[now_ns] = targets(self, now_ns, positions, look)
        return told[now_ns]

    monkeypatch.setattr(Daemon, "targets", noted)
    monkeypatch.setattr(lockstep, "ATTEMPT_NS", 20 * MS)
    with ExitStack() as stack:
        cell = dataclasses.replace(QUEUE, delay_ms=delay_ms)
        stage.attempt(Contestants(DEMO, None, 1, stack, tmp_path).driver(cell), 0)
    assert told[-10 * MS] is None
    assert told[0] is not None


def test_a_slower_engine_gives_the_same_answer_and_is_still_accepted(tmp_path: Path) -> None:
    own = load_engine(DEMO["all-int8"], threads=1)
    slow = load_engine(slower(DEMO["all-int8"], 100, tmp_path), threads=1, judge=True)
    observation = random_observation(own.spec)
    start_s = time.monotonic()
    chunk = slow.infer(observation)
    assert time.monotonic() - start_s > 0.08  # the trial may have been disturbed
    np.testing.assert_array_equal(chunk, own.infer(observation))


def test_places_that_chose_nothing_are_not_those_of_the_survey(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.closed_loop", "--untouched", "--places", "1", "--json"]
    command += ["--only", "queue-25_200ms,queue-50_200ms", "--out", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    results = list(read_all(tmp_path))
    assert {one.cell.contestant for one in results} == {"actd queue 25", "actd queue 50"}
    assert [[attempt.place for attempt in one.attempts] for one in results] == 4 * [[1000]]


def test_what_is_there_is_not_played_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.closed_loop", "--survey", "1", "--json"]
    command += ["--only", "queue-50_400ms", "--out", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}

    def run() -> tuple[dict[str, float], str]:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)["metrics"], done.stderr

    shares, said = run()
    assert set(shares) == {f"all-int8_actd-queue-50_400ms{end}" for end in ("", "_shift4")}
    assert "1 of 1" in said
    again, said = run()
    assert again == shares
    assert "of 1" not in said


def test_engines_are_compared_place_by_place_and_the_bar_is_held(tmp_path: Path) -> None:
    for name in ("ort-fp32", "all-int8"):
        (tmp_path / "engines").mkdir(exist_ok=True)
        (tmp_path / "engines" / name).symlink_to(DEMO["all-int8"])
    command = [sys.executable, "-m", "bench.closed_loop", "--places", "1", "--json"]
    command += ["--engines", str(tmp_path / "engines"), "--out", str(tmp_path / "out")]
    command += ["--only", "temporal--0.1_100ms_shift4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    # One engine under two names.
    assert result["metrics"]["int8.points_lost"] == 0.0
    assert [verdict["passed"] for verdict in result["verdicts"]] == [True]
    ours, theirs = (outcome(one) for one in read_all(tmp_path / "out"))
    assert ours == theirs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engines", "nowhere"), "--engines nowhere: no engine folder in it"),
        (("--only", "nothing"), "--only nothing: no such cell; they are all-int8_actd-temporal"),
        (("--out", "/proc/here"), "--out /proc/here: cannot be created: "),
        (("--realtime",), f"{VARIABLE}: not set; give an interpreter with LeRobot"),
    ],
)
def test_what_cannot_be_played_is_one_line(options: tuple[str, ...], words: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-m", "bench.closed_loop", *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"bench.closed_loop: {words}")
    assert done.stderr.count("\n") == 1


class Counting:
    """A policy whose actions are 1, 2, 3, ..., with an inference for every `rows`-th."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.reset()

    def reset(self) -> None:
        self._count = 0

    @property
    def is_due(self) -> bool:
        return self._count % self._rows == 0

    def select_action(self, observation: Observation | None) -> np.ndarray:
        assert (observation is not None) == self.is_due
        self._count += 1
        return np.array([float(self._count)])


@pytest.mark.parametrize(
    ("rows", "delay_ms", "sent"),
    [
        (50, 0, [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4),
        # It stands still for a whole inference, and the row after it is late already.
        (50, 100, [0] * 10 + [2] * 4 + [3] * 2),
        (2, 50, [0] * 5 + [2] * 9 + [4] * 2),
        # One row each time, whatever it takes.
        (1, 50, [0] * 5 + [1] * 5 + [2] * 5 + [3]),
    ],
)
def test_lerobots_loop_sends_every_action_and_stands_still_meanwhile(
    rows: int, delay_ms: int, sent: list[int]
) -> None:
    loop = RecordLoop(Counting(rows), delay_ms)
    loop.begin(np.zeros(1), dict)
    told = [loop.targets(10 * k * MS, np.zeros(1), dict) for k in range(16)]
    assert [0 if targets is None else targets[0] for targets in told] == sent


@pytest.mark.lerobot
@pytest.mark.parametrize(
    "cell",
    [
        Cell("select_action", "all-int8", 100, rows=50),
        Cell("ensembler", "all-int8", 0, coeff=0.01),
    ],
)
def test_lerobots_loop_lifts_it_too(stage: Stage, tmp_path: Path, cell: Cell) -> None:
    with ExitStack() as stack:
        driver = Contestants(DEMO, os.environ[VARIABLE], 1, stack, tmp_path).driver(cell)
        attempt = stage.attempt(driver, 0)
    assert attempt.seconds is not None
    rows = attempt.seconds * BAR.hz
    assert attempt.inferences == int(rows if cell.loop == "ensembler" else rows / 50) + 1


@pytest.mark.lerobot
@pytest.mark.timeout(900)
def test_everyone_plays_in_real_time(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.closed_loop", "--realtime", "--seconds", "60"]
    command += ["--load", "1", "--json", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout)
    assert done.returncode == (0 if result["verdicts"][0]["passed"] else 1)
    for name in ("actd", "select_action", "ensembler"):
        assert len(result["turns"][name]) == 2
        assert result["metrics"][f"{name}.attempts"] > 0
        assert result["metrics"][f"{name}.infer_p50_ms"] > 0
