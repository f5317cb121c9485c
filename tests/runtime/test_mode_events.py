"""Which event a change of the mode is, and that none is missed between two looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.limits import Flag
from actd.control.state import PARKED
from actd.control.state import Event as ControlEvent
from actd.mode import Mode
from actd.runtime import events
from actd.runtime.channels import EVENTS, tick_dtype
from actd.runtime.events import Event
from actd.runtime.mode_events import ModeEvents

DTYPE = tick_dtype(2, 1)


def tick(number: int, mode: Mode, **fields: Any) -> tuple[int, Any]:
    record = np.zeros((), DTYPE)
    record["mode"], record["sent_ns"] = mode, number * 1000
    for name, value in fields.items():
        record[name] = value
    return number, record[()]


def judged(*ticks: tuple[int, Any], reasons: dict[int, str] | None = None) -> list[Event]:
    last = ticks[-1][0]
    after = tick(last + 1, Mode(int(ticks[-1][1]["mode"])))
    given = {number * 1000: text for number, text in (reasons or {}).items()}
    return [change.event for change in ModeEvents().take([*ticks, after], given)]


HOLDS = {
    Flag.STATE_STALE: events.STATE_STALE,
    Flag.CONTROLLER_LOST: events.CONTROLLER_LOST,
    Flag.CAMERA_STALE: events.CAMERA_STALE,
    Flag.CAMERA_FROZEN: events.CAMERA_FROZEN,
    Flag.SILENCE: events.TICK_SILENT,
    0: events.CHUNK_LATE,
}


@pytest.mark.parametrize(("flag", "event"), HOLDS.items(), ids=lambda value: str(value)[:20])
def test_a_gap_and_the_fault_that_it_becomes_are_what_caused_it(flag: int, event: Event) -> None:
    armed = tick(1, Mode.ARMED)
    hold = tick(2, Mode.HOLD, flags=flag | Flag.UNDERRUN)
    for flags in (flag, 0):  # 0: gaps again and again, at the moment there is none
        fault = tick(3, Mode.FAULT, flags=flags)
        told = {2: "it is old", 3: "the gap lasts: it is old"}
        assert judged(armed, hold, fault, reasons=told) == [events.MODE_CHANGED, event, event]


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"flags": Flag.FOLLOWING}, events.ARM_NOT_FOLLOWING),
        ({"flags": Flag.NON_FINITE}, events.ACTION_NOT_FINITE),
        ({"rivals": 1}, events.RIVAL_CONTROLLER),
        ({"source": 1}, events.CONTROLLER_REPLACED),
        ({"openings": 1, "flags": Flag.CAMERA_STALE}, events.CAMERA_REOPENED),
        ({"events": [EVENTS.index(ControlEvent.FAULT), 0, 0, 0]}, events.PROCESS_DIED),
    ],
)
def test_a_fault_at_once(fields: dict[str, Any], event: Event) -> None:
    assert judged(tick(1, Mode.ARMED), tick(2, Mode.FAULT, **fields))[1:] == [event]


def test_orders_and_poses_are_no_trouble() -> None:
    order = [EVENTS.index(ControlEvent.HOLD), 0, 0, 0]
    gap = tick(2, Mode.HOLD, flags=Flag.CAMERA_STALE | Flag.UNDERRUN)
    held = tick(3, Mode.HOLD, flags=Flag.CAMERA_STALE, events=order)
    told = {2: "camera top is 400 ms old", 3: "operator: hold"}
    assert judged(tick(1, Mode.ARMED), gap, held, reasons=told) == [
        events.MODE_CHANGED,
        events.CAMERA_STALE,
        events.MODE_CHANGED,
    ]
    arm = [EVENTS.index(ControlEvent.ARM), 0, 0, 0]
    assert judged(gap, tick(3, Mode.ARMED), reasons={2: "x"})[1] is events.GAP_OVER
    assert judged(gap, tick(3, Mode.ARMED, events=arm), reasons={2: "x"})[1] is events.MODE_CHANGED
    moving = tick(1, Mode.MOVING)
    parked = judged(moving, tick(2, Mode.HOLD), reasons={2: PARKED})
    assert parked == [events.MODE_CHANGED] * 2


def test_a_move_that_does_not_arrive() -> None:
    moving = tick(1, Mode.MOVING)
    stale = tick(2, Mode.HOLD, flags=Flag.STATE_STALE)
    assert judged(moving, stale, reasons={2: "state is old"})[1] is events.STATE_STALE
    led = tick(1, Mode.TAKEOVER)
    lost = tick(2, Mode.HOLD, flags=Flag.LEADER_LOST)
    assert judged(led, lost, reasons={2: "the leader is silent"})[1] is events.LEADER_LOST
    not_armed = judged(moving, tick(2, Mode.HOLD), reasons={2: "not armed where the move ended"})
    assert not_armed[1] is events.MOVE_INTERRUPTED


@given(
    st.lists(st.sampled_from(Mode), min_size=1, max_size=30),
    st.lists(st.integers(0, 31), max_size=10),
)
def test_however_the_rings_are_read_each_change_is_told_once_with_its_reason(
    modes: list[Mode], cuts: list[int]
) -> None:
    """A tick's reason is written after its record: a look may come between the two."""
    ticks = [tick(number, mode) for number, mode in enumerate(modes, start=1)]
    ticks.append(tick(len(modes) + 1, modes[-1]))
    reasons = {n * 1000: f"reason {n}" for n in range(1, len(modes) + 1)}
    changes = ModeEvents()
    heard = []
    ends = [*sorted(min(cut, len(ticks)) for cut in cuts), len(ticks)]
    for begin, end in zip([0, *ends], ends, strict=False):
        late = begin * 1000 if begin else -1  # the last look's newest tick: its reason comes now
        told = {t: text for t, text in reasons.items() if late <= t < end * 1000}
        heard += list(changes.take(ticks[begin:end], told))
    heard += list(changes.take([], {}))
    assert [change.tick for change in heard] == list(range(1, len(modes) + 1))
    assert all(change.reason == f"reason {change.tick}" for change in heard)
