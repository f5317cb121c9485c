"""The controller over random histories: never beyond what was planned, nor over a limit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actd.arrays import Vector
from actd.control.limits import Flag
from actd.control.state import Event
from actd.mode import Mode
from tests.control.rig import MS, Rig, settings

LONG = {"chunk_size": 400, "n_action_steps": 400}

STEP = st.tuples(
    st.sampled_from([None] * 12 + [Event.ARM, Event.HOLD, Event.STOP, Event.RESET, Event.FAULT]),
    st.sampled_from(["old", "old", "old", "new", "far", "nan"]),
    st.sampled_from([5 * MS] * 8 + [300 * MS, None]),
    st.sampled_from([30 * MS] * 8 + [400 * MS]),
    st.sampled_from([0] * 10 + [5 * MS, 90 * MS, 300 * MS, 2500 * MS]),
    st.floats(-1, 1),
)


@hypothesis_settings(max_examples=120, deadline=None)
@given(
    history=st.lists(STEP, min_size=5, max_size=80),
    hz=st.sampled_from([20.0, 50.0, 200.0, 1000.0]),
    policy_hz=st.sampled_from([3.0, 10.0, 30.0, 50.0, 100.0]),
    mode=st.sampled_from(["queue", "latest", "temporal"]),
    interpolation=st.sampled_from(["hold", "linear", "smooth"]),
    velocity=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    acceleration=st.tuples(st.floats(0.3, 60), st.floats(0.3, 60)),
    ease_ms=st.sampled_from([0, 100, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_history_leads_beyond_what_was_planned_or_over_a_limit(  # noqa: PLR0917
    history: list[Any],
    hz: float,
    policy_hz: float,
    mode: str,
    interpolation: str,
    velocity: tuple[float, float],
    acceleration: tuple[float, float],
    ease_ms: int,
    seed: int,
) -> None:
    """Per joint within the rows that were taken and the places where the arm was found."""
    arm = settings(
        hz=hz,
        policy_hz=policy_hz,
        mode=mode,
        chunk_size=30,
        n_action_steps=12,
        interpolation=(interpolation,) * 2,
        velocity=velocity,
        acceleration=acceleration,
        ease_in_ns=ease_ms * MS,
        start_distance=9.0,
        follow_distance=9.0,
    )
    chance = np.random.default_rng(seed)
    rig = Rig(arm, chance.uniform(-0.5, 0.5, 2))
    low, high = rig.positions.copy(), rig.positions.copy()
    last: Vector | None = None
    speed = np.zeros(2)
    dt = arm.period_ns / 1e9

    def rows() -> Vector:
        return np.clip(
            chance.uniform(-1, 1, 2) + np.cumsum(chance.normal(0, 0.1, (30, 2)), 0), -3, 3
        )

    script: list[Any] = [
        (None, "new", 5 * MS, 30 * MS, 0, 0.0),
        (Event.ARM, "old", 5 * MS, 30 * MS, 0, 0),
    ]
    for event, new, state_age, camera_age, late_ns, moved in (*script, *history):
        chunks: tuple[Any, ...] = ()
        if new != "old":
            values = rows() if new == "new" else np.full((30, 2), 45.0 if new == "far" else np.nan)
            chunks = (rig.chunk(values, age_ns=arm.period_ns, usable_ns=0),)
            if new == "new":
                low, high = np.minimum(low, values.min(0)), np.maximum(high, values.max(0))
        if rig.outputs and rig.outputs[-1].mode is Mode.IDLE:
            rig.positions = np.clip(rig.positions + moved, -3, 3)  # by hand
        found = rig.positions.copy()
        low, high = np.minimum(low, found), np.maximum(high, found)
        output = rig.tick(
            commands=() if event is None else ((1, event),),
            chunks=chunks,
            state_age_ns=state_age,
            camera_ages_ns={"top": camera_age},
            late_ns=late_ns,
        )
        if output.action is None:
            last = None
            continue
        assert np.isfinite(output.action).all()
        assert (output.action >= low - 1e-6).all()
        assert (output.action <= high + 1e-6).all()
        assert output.rest is not None
        assert (output.rest >= low - 1e-6).all()
        assert (output.rest <= high + 1e-6).all()
        if last is None or output.flags & Flag.SILENCE:
            last, speed = found, np.zeros(2)  # it begins at rest, where the arm is
        now = (output.action - last) / dt
        assert (np.abs(now) <= np.array(velocity) * (1 + 1e-6) + 1e-6).all()
        change = np.abs(now - speed)
        assert (change <= np.array(acceleration) * dt * (1 + 1e-6) + 1e-6).all()
        last, speed = output.action, now


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 9999),
    before=st.integers(1, 60),
    mode=st.sampled_from(["queue", "latest", "temporal"]),
)
def test_rows_that_are_over_are_not_gone_back_to(seed: int, before: int, mode: str) -> None:
    """Armed again out of HOLD, an arm stays within where it was held and the rows due since."""
    rows = np.cumsum(np.random.default_rng(seed).normal(0, 0.02, (120, 1)), 0)
    arm = settings(
        1, mode=mode, chunk_size=120, n_action_steps=120, velocity=50.0, acceleration=1e4,
        start_distance=5.0, follow_distance=5.0,
    )  # fmt: skip
    rig = Rig(arm, rows[0]).armed(rows)
    rig.run(before)
    rig.tick(Event.HOLD)
    held = rig.run(3)[-1].action
    assert held is not None
    assert rig.tick(Event.ARM).mode is Mode.ARMED
    begin = len(rig.outputs) - 1
    rig.run(60)
    after = np.array([o.action for o in rig.outputs[begin:] if o.action is not None])
    due = np.concatenate((rows[before - 1 :], held[None]))
    assert after.min() >= due.min() - 1e-6
    assert after.max() <= due.max() + 1e-6


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    duration_s=st.floats(0.5, 3.0),
    velocity=st.floats(0.3, 3),
    acceleration=st.floats(0.3, 20),
    mode=st.sampled_from(["queue", "latest", "temporal"]),
    ease_ms=st.sampled_from([0, 300]),
    hz=st.sampled_from([30.0, 50.0, 200.0]),
)
def test_a_reach_down_to_a_table_never_ends_below_it(  # noqa: PLR0917
    duration_s: float, velocity: float, acceleration: float, mode: str, ease_ms: int, hz: float
) -> None:
    """With the limits of robots/aloha.yaml it ended 0.065 rad below."""
    x = np.clip(np.arange(400) / 50.0 / duration_s, 0, 1)
    rows = (1 - (10 * x**3 - 15 * x**4 + 6 * x**5))[:, None]
    arm = settings(
        1, hz=hz, mode=mode, velocity=velocity, acceleration=acceleration,
        ease_in_ns=ease_ms * MS, **LONG,
    )  # fmt: skip
    rig = Rig(arm, 1.0).armed(rows)
    rig.run(int(6 * hz))
    assert rig.commands().min() >= -1e-6
    assert rig.commands().max() <= 1 + 1e-6
