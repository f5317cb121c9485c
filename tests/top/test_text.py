"""What the screen says, without a screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from actd.control.limits import Flag
from actd.mode import Mode
from actd.top import text
from actd.top.watch import LOST_NS, Event, View
from tests.top.test_top import IDLE_ACTION

PERCENTILES = {"p50": 50.0, "p99": 90.0, "p999": 1200.0, "max": 25000.0}
STATUS: dict[str, Any] = {
    "control": {
        "target_hz": 50.0,
        "rate_hz": 49.98,
        "missed": 2,
        "underruns": 3,
        "lateness_us": PERCENTILES,
        "work_us": PERCENTILES,
        "chunk_age_ms": PERCENTILES,
    },
    "inference": {"engine": "ort-int8", "state": "running", "rate_hz": 20.0, "ms": PERCENTILES},
    "move": {"share": 0.4, "left_s": 1.25},
    "state_age_ms": 4.0,
    "acknowledged_ms": None,
    "flight": "recording",
    "cameras": {
        "[red]wrist": {
            "fps": 29.6,
            "fps_asked": 30,
            "age_ms": 12.0,
            "drops": 4,
            "damaged": 1,
            "state": "slow: gives 20 of 30 fps",
        }
    },
    "positions": {"waist": 0.25, "elbow": -1.0},
}
VIEW = View(
    robot="cup",
    action=replace(IDLE_ACTION, robot="cup", mode=Mode.ARMED, flags=Flag.VELOCITY | Flag.EASING),
    silent_ns=0,
    late_us=(0.0, 10_000.0, 20_000.0, 90_000.0),
    status=STATUS,
    commanded={"waist": 0.5, "gripper": 1.0},
    trouble="",
    events=(Event(0.0, "STOP: [bold]operator"),),
)


def words(table: Any) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(" ".join(line.split()) for line in captured.get().splitlines())


def test_every_part_says_what_it_is_for() -> None:
    condition = words(text.condition(VIEW))
    assert "now velocity limit, easing in" in condition
    assert "moving 40%, 1.2 s left" in condition
    assert "missed 2 slots, 3 underruns" in condition
    assert "late, 30 s ▁▄██ 90000 us" in condition
    assert "acknowledged nothing yet" in condition
    assert "lateness 50 90 1200 25000 20000 us" in words(text.timing(VIEW))
    assert "[red]wrist 29.6/30 12 ms 5 slow: gives 20 of 30 fps" in words(text.cameras(VIEW))
    joints = words(text.joints(VIEW)).splitlines()
    assert joints[1:] == ["waist 0.500 0.250 0.250", "gripper 1.000 - -", "elbow - -1.000 -"]
    assert "STOP: [bold]operator" in words(text.events(VIEW))


@given(st.one_of(st.none(), st.integers(0, 10 * LOST_NS)))
def test_a_mode_is_shown_while_it_is_known_and_no_longer(silent_ns: int | None) -> None:
    view = replace(VIEW, silent_ns=silent_ns)
    known = silent_ns is not None and silent_ns <= LOST_NS
    assert text.mode_of(view) == ("ARMED" if known else "?")
    assert ("ARMED" in text.head(view)) is known
    assert ("hardware stop" in text.head(view)) is not known


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=30).map(tuple), st.floats(500, 1e5))
def test_a_full_block_is_as_late_as_a_period(late_us: tuple[float, ...], period_us: float) -> None:
    control = STATUS["control"] | {"target_hz": 1e6 / period_us}
    view = replace(VIEW, late_us=late_us, status=STATUS | {"control": control})
    row = words(text.condition(view)).split("late, 30 s ")[1]
    blocks = row.split(" ")[0]
    assert len(blocks) == len(late_us)
    for block, late in zip(blocks, late_us, strict=True):
        if late < period_us * 0.99:
            assert block != "█"
        elif late > period_us * 1.01:
            assert block == "█"
