"""An hour of driving without a break: nothing grows, nothing is missed. Tier `soak`.

ACTD_SOAK_SECONDS says how long (3600), ACTD_SOAK_OUT the folder for soak.json: the series of
every process, the growth per hour, and the daemon's own counts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actd.export.export import export_checkpoint
from actd.mode import Mode
from actd.policy.untrained import write_untrained
from tests.faults.deployment import BOUNDS, FLIGHT_MB, Setup
from tests.faults.engine import HEIGHT, JOINTS, WIDTH
from tests.faults.life import Life
from tests.faults.promise import disorder, no_rest, outlived, run_away, wild_steps
from tests.faults.rig import Rig
from tests.soak.growth import MEASURES, folder_mb, growth, look

SECONDS = float(os.environ.get("ACTD_SOAK_SECONDS", "3600"))
_JUDGES = (wild_steps, disorder, no_rest, outlived, run_away)
_EVERY_S = min(10.0, SECONDS / 30)
_WARM_UP_S = min(300.0, SECONDS / 5)

# Allowed growth: so much per hour, and so much besides, which is what a quiet process swings by.
_PER_HOUR = {"rss_mb": 6.0, "pss_mb": 6.0, "shared_mb": 0.0, "fds": 0.0, "threads": 0.0}
_SWING = {"rss_mb": 3.0, "pss_mb": 3.0, "shared_mb": 0.5, "fds": 1.0, "threads": 1.0}
# The flight recorder maps the file it writes, and files of several sizes follow each other.
_FLIGHT_SWING = {**_SWING, "shared_mb": 2.0, "rss_mb": 4.0, "pss_mb": 4.0}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A daemon with a real, small ACT, two video cameras and the flight recorder."""
    checkpoint = write_untrained(
        tmp_path / "checkpoint",
        cameras={"cam_high": (HEIGHT, WIDTH), "cam_low": (HEIGHT, WIDTH)},
        action_dim=len(JOINTS),
        state_dim=len(JOINTS),
        chunk_size=50,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        action_std=[0.2] * len(JOINTS),
        seed=1,
    )
    export_checkpoint(checkpoint, tmp_path / "engines", ["ort-fp32"], None, lambda _: None)
    subject = Rig(Setup(), tmp_path / "rig", tmp_path / "engines" / "ort-fp32")
    try:
        yield subject
    finally:
        subject.close()


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_nothing_grows(rig: Rig, tmp_path: Path) -> None:
    rig.bring(Mode.ARMED)
    with rig.operator() as operator:
        operator.request("clear")
    broken: list[str] = []
    series = _sample(rig, broken)
    status = rig.status()
    left = rig.end()
    table = {
        name: {m: growth(samples, m, _WARM_UP_S) for m in MEASURES}
        for name, samples in series.items()
    }
    report = _report(rig, series, table, status, broken)
    out = Path(os.environ.get("ACTD_SOAK_OUT", str(tmp_path))) / "soak.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1))

    assert not broken, broken[:5]
    assert not left, left
    assert status["mode"] == "ARMED", status["mode"]
    grown = [line for name, row in table.items() for line in _too_much(name, row)]
    assert not grown, "\n".join(grown)
    assert report["flight_mb"] <= FLIGHT_MB * 1.1


def _sample(rig: Rig, broken: list[str]) -> dict[str, list[dict[str, float]]]:
    """Look at every process now and then; `broken` gets the promises broken meanwhile."""
    processes = {"supervisor": rig.process("supervisor")}
    for process, role in rig.processes():
        name = f"{role} {sum(key.startswith(role) for key in processes) + 1}"
        processes[name if role == "camera" else role] = process
    series: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
    begun_s = time.monotonic()
    for turn in range(round(SECONDS / _EVERY_S)):
        time.sleep(max(0.0, begun_s + turn * _EVERY_S - time.monotonic()))
        for name, process in processes.items():
            series[name].append(look(process, time.monotonic() - begun_s))
        broken += _judge_and_forget(rig)
    return series


def _judge_and_forget(rig: Rig) -> list[str]:
    """Judge what has arrived since the last look; an hour of it all would fill the memory."""
    log, samples = rig.arm.log, rig.arm.samples
    life = Life(list(log), list(samples))
    del log[: len(life.log) - 5]
    del samples[: len(life.arm) - 50]
    return [
        *(told for judge in _JUDGES for told in judge(life, BOUNDS)),
        *(f"seq {a.seq}: {a.mode.name}" for _, a in life.log if a.mode in (Mode.FAULT, Mode.STOP)),
    ]


def _too_much(name: str, row: dict[str, tuple[float, float]]) -> Iterator[str]:
    swing = _FLIGHT_SWING if name == "flight" else _SWING
    hours = (SECONDS - _WARM_UP_S) / 3600
    for measure, (total, per_hour) in row.items():
        allowed = _PER_HOUR[measure] * hours + swing[measure]
        if total > allowed:
            yield f"{name}: {measure} grew by {total:.2f} ({per_hour:.2f}/h), allowed {allowed:.2f}"


def _report(
    rig: Rig,
    series: dict[str, list[dict[str, float]]],
    table: dict[str, dict[str, tuple[float, float]]],
    status: dict[str, Any],
    broken: list[str],
) -> dict[str, Any]:
    return {
        "seconds": SECONDS,
        "warm_up_s": _WARM_UP_S,
        "growth": {
            name: {m: {"total": total, "per_hour": rate} for m, (total, rate) in row.items()}
            for name, row in table.items()
        },
        "control": status.get("control"),
        "inference": status.get("inference"),
        "cameras": status.get("cameras"),
        "mode": status.get("mode"),
        "flight_mb": folder_mb(rig.flights),
        "broken": broken[:100],
        "series": series,
    }
