"""Ten minutes of seconds, and every change of the mode with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actd.control.limits import Flag
from actd.dashboard.history import SECONDS, History
from actd.mode import Mode
from actd.runtime.channels import tick_dtype

PERIOD_NS = 20_000_000
Tick = tuple[int, Any]


def ticks(first: int, modes: list[Mode], **fields: list[int]) -> list[Tick]:
    records = np.zeros(len(modes), tick_dtype(2, 1))
    records["mode"] = modes
    records["sent_ns"] = PERIOD_NS * (first + np.arange(len(modes)))
    records["chunk_age_ns"] = -1
    for name, values in fields.items():
        records[name] = values
    return [(first + k, record) for k, record in enumerate(records)]


def test_a_second_says_the_worst_of_its_ticks() -> None:
    history = History(int(Flag.UNDERRUN))
    history.add(
        ticks(
            1,
            [Mode.ARMED] * 3,
            late_ns=[10_000, 90_000, 20_000],
            missed=[4, 4, 4],
            chunk_age_ns=[-1, 30_000_000, 10_000_000],
            flags=[0, int(Flag.UNDERRUN), int(Flag.UNDERRUN | Flag.EASING)],
        ),
        {},
        offset_s=1000.0,
    )
    history.add(ticks(4, [Mode.ARMED] * 2, missed=[4, 6]), {}, offset_s=1000.0)
    first, second = history.after(0)["seconds"]
    assert (first["late_us"], first["latest_tick"]) == (90.0, 2)
    assert first["missed"] == 0  # before the first look nobody knows when
    assert first["underruns"] == 2
    assert first["chunk_age_ms"] == 30.0
    assert first["unix_s"] == pytest.approx(1000.06)
    assert (second["first_tick"], second["last_tick"], second["missed"]) == (4, 5, 2)
    assert second["chunk_age_ms"] is None


def test_changes_of_the_mode_have_the_reason_of_their_tick() -> None:
    history = History(int(Flag.UNDERRUN))
    modes = [Mode.IDLE, Mode.ARMED, Mode.ARMED, Mode.HOLD, Mode.FAULT]
    reasons = {4 * PERIOD_NS: "camera top is 400 ms old", 5 * PERIOD_NS: "the gap lasts"}
    history.add(ticks(1, modes), reasons, offset_s=0.0)
    changes = history.after(0)["changes"]
    assert [(each["tick"], each["mode"], each["reason"]) for each in changes] == [
        (1, "IDLE", ""),
        (2, "ARMED", ""),
        (4, "HOLD", "camera top is 400 ms old"),
        (5, "FAULT", "the gap lasts"),
    ]
    newest = max(each["number"] for each in changes)
    assert history.after(newest)["changes"] == []


def test_what_is_asked_for_piece_by_piece_is_whole() -> None:
    history, pieces, newest = History(int(Flag.UNDERRUN)), [], 0
    for first in range(1, 200):
        history.add(ticks(first, [Mode.ARMED if first % 7 else Mode.HOLD]), {}, offset_s=0.0)
        if first % 3 == 0:
            found = history.after(newest)
            pieces += found["seconds"]
            newest = max([newest] + [e["number"] for e in found["seconds"] + found["changes"]])
    assert [piece["first_tick"] for piece in pieces] == list(range(1, 199))


def test_no_more_than_ten_minutes_are_held() -> None:
    history = History(int(Flag.UNDERRUN))
    for first in range(1, SECONDS + 50):
        history.add(ticks(first, [Mode.IDLE]), {}, offset_s=0.0)
    assert len(history.after(0)["seconds"]) == SECONDS
    history.add([], {}, offset_s=0.0)
    assert len(history.after(0)["seconds"]) == SECONDS
