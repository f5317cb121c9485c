"""What becomes of an engine's answers, with a real engine that can be told to misbehave."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.engine.base import Engine
from actd.engine.load import load_engine
from actd.engine.manifest import MANIFEST
from actd.errors import EngineError
from actd.runtime.channels import Channels, Shapes, open_channels
from actd.runtime.inference import ChunkMaker
from actd.runtime.observation import MissingInput, TimedObservation
from tests.engines import STATE
from tests.faults.engine import CHUNK, HEIGHT, HIGH, JOINTS, LEVELS, LOW, WELL, WIDTH
from tests.faults.engine import write_engine as write_moody_engine

SECOND = 10**9


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load_engine(write_moody_engine(tmp_path_factory.mktemp("moody") / "engine"), threads=1)


@pytest.fixture
def channels() -> Channels:
    size = (HEIGHT, WIDTH)
    shapes = Shapes({"cam_high": size, "cam_low": size}, CHUNK, len(JOINTS), len(JOINTS), 0)
    return open_channels(shapes)


@pytest.fixture
def maker(engine: Engine, channels: Channels) -> ChunkMaker:
    return ChunkMaker(engine, channels, JOINTS, 300_000_000, {STATE: JOINTS})


def seeing(level: int, diagnostic: str = "", state: float = 0.0) -> TimedObservation:
    values = {
        STATE: np.array([0.0] * (len(JOINTS) - 1) + [state], np.float32),
        HIGH: np.full((HEIGHT, WIDTH, 3), 128, np.uint8),
        LOW: np.full((HEIGHT, WIDTH, 3), level, np.uint8),
    }
    return TimedObservation(7 * SECOND, 3_000_000, values, diagnostic)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_plan_carries_its_observation_and_its_cost(maker: ChunkMaker, channels: Channels) -> None:
    maker.make(seeing(WELL))
    latest = channels.chunks.latest()
    assert latest is not None
    number, chunk = latest
    assert (number, chunk["t_observation_ns"], chunk["skew_ns"]) == (1, 7 * SECOND, 3_000_000)
    assert chunk["infer_ns"] > 0
    assert chunk["usable_ns"] == 300_000_000
    assert chunk["started_ns"] > 0
    assert np.isfinite(chunk["actions"]).all()


def test_a_plan_that_is_not_finite_is_refused_named_and_counted(
    maker: ChunkMaker, channels: Channels, capsys: pytest.CaptureFixture[str]
) -> None:
    maker.make(seeing(WELL))
    for _ in range(3):
        maker.make(seeing(LEVELS["nan"]))
    assert channels.chunks.newest == 1
    maker.make(seeing(WELL))
    assert channels.chunks.newest == 2
    reports = said(capsys)
    assert [report["state"] for report in reports] == ["running", *["refusing"] * 3]
    assert [report.get("rejected") for report in reports] == [None, 1, 2, 3]
    assert reports[1]["why"] == (
        "the engine gave a non-finite action for joint j0: its chunk is not used"
    )


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("shape", r"gave float32 of shape \(47, 6\), the policy gives float32 of shape \(50, 6\)"),
        ("throw", r"ort-fp32: inference failed \(.*Gather.*\); try `actd infer`"),
    ],
)
def test_an_engine_that_fails_is_an_error_of_one_line(
    maker: ChunkMaker, channels: Channels, mood: str, words: str
) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        maker.make(seeing(LEVELS[mood]))
    assert "\n" not in str(caught.value)
    assert channels.chunks.newest == 0


def test_what_is_missing_is_said_once_however_often_it_is_found(
    maker: ChunkMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    for age in (501, 502, 503):
        maker.report_missing(MissingInput("camera cam_low", f"camera cam_low is {age} ms old"))
    maker.report_missing(MissingInput("robot state", "robot state has not delivered anything yet"))
    reports = said(capsys)
    assert [report["state"] for report in reports] == ["waiting", "waiting"]
    assert "501 ms" in reports[0]["why"]


def test_what_comes_and_goes_is_said_once_and_that_it_is_over_when_it_is(
    maker: ChunkMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        maker.report_missing(MissingInput("camera cam_low", "camera cam_low is 501 ms old"))
        maker.make(seeing(WELL))
    assert [report["state"] for report in said(capsys)] == ["waiting"]
    deadline = time.monotonic() + 30
    while not (reports := said(capsys)) and time.monotonic() < deadline:
        maker.make(seeing(WELL))
    assert [report["state"] for report in reports] == ["running"]


def test_skew_that_comes_and_goes_is_said_once(
    maker: ChunkMaker, channels: Channels, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        maker.make(seeing(WELL, f"cam_low is {number} ms behind" if number % 2 else ""))
    assert channels.chunks.newest == 10
    assert [report["state"] for report in said(capsys)] == ["running", "skewed"]


def test_another_unit_is_named_until_a_number_is_too_large_for_it(
    channels: Channels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_moody_engine(tmp_path / "engine")
    data = json.loads((folder / MANIFEST).read_text())
    ends = {"min": [-90.0] * len(JOINTS), "max": [90.0] * len(JOINTS)}
    data["spec"]["statistics"] = {STATE: ends}
    (folder / MANIFEST).write_text(json.dumps(data))
    engine = load_engine(folder, threads=1)
    maker = ChunkMaker(engine, channels, JOINTS, 300_000_000, {STATE: JOINTS})
    for state in (0.7, 0.8, 40.0, 0.7):
        observation = seeing(WELL)
        observation.values[STATE][:] = state
        maker.make(observation)
    engine.close()
    first, second = said(capsys)
    assert first["why"].startswith(f"{STATE}: none of {len(JOINTS)} values reaches a tenth")
    assert (second["state"], second["why"]) == ("running", "")


def test_a_state_that_training_never_saw_is_named_once_and_still_goes_in(
    channels: Channels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_moody_engine(tmp_path / "engine")
    data = json.loads((folder / MANIFEST).read_text())
    std = [1.0] * (len(JOINTS) - 1) + [4e-6]
    data["spec"]["statistics"] = {STATE: {"mean": [0.0] * len(JOINTS), "std": std}}
    (folder / MANIFEST).write_text(json.dumps(data))
    engine = load_engine(folder, threads=1)
    maker = ChunkMaker(engine, channels, JOINTS, 300_000_000, {STATE: JOINTS})
    for state in (0.0, 0.5, 0.6, 0.0):
        maker.make(seeing(WELL, state=state))
    engine.close()
    first, second = said(capsys)
    assert (first["state"], first["why"]) == ("running", "")
    assert second["state"] == "running"
    start = f"{STATE}: {JOINTS[-1]} is 0.5, training never left "
    assert second["why"].startswith(start)
    latest = channels.chunks.latest()
    assert latest is not None
    assert latest[0] == 4
