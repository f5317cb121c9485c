"""The delay against arms whose delay is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.latency.response import NotMeasurableError, Trace, delay, step_response
from tests.latency.arms import lagged

FINE_S = 0.001
SMOOTH_S = 0.1


def motion(seconds: float, freqs_hz: list[float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sines of random phase and amplitude 0.2, every FINE_S."""
    t = np.arange(-2.0, seconds, FINE_S)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(freqs_hz))
    waves = [np.sin(2 * np.pi * f * t + p) for f, p in zip(freqs_hz, phases, strict=True)]
    return t, 0.2 * np.sum(waves, axis=0)


def trace(
    t: np.ndarray, command: np.ndarray, state: np.ndarray, hz: float, state_hz: float
) -> Trace:
    """Both signals as they would be seen at their rates, from t = 0 on."""
    sent, measured = np.arange(0, t[-1], 1 / hz), np.arange(0.003, t[-1], 1 / state_hz)
    return Trace(
        (sent * 1e9).astype(np.int64),
        np.interp(sent, t, command),
        (measured * 1e9).astype(np.int64),
        np.interp(measured, t, state),
    )


@settings(max_examples=60, deadline=None)
@given(
    dead_s=st.floats(0.0, 0.3),
    lag_s=st.floats(0.005, 0.08),
    noise=st.floats(0.0, 0.01),
    hz=st.sampled_from([30.0, 50.0, 100.0, 200.0]),
    state_hz=st.sampled_from([50.0, 125.0, 500.0]),
    seed=st.integers(0, 99),
)
def test_dead_time_and_lag_are_found(  # noqa: PLR0917
    dead_s: float, lag_s: float, noise: float, hz: float, state_hz: float, seed: int
) -> None:
    freqs = [0.3, 0.7, 1.1]
    t, command = motion(20.0, freqs, seed)
    lag = lagged(t, command, lag_s)
    state = np.interp(t - dead_s, t, lag)
    seen = trace(t, command, state, hz, state_hz)
    rng = np.random.default_rng(seed)
    noisy = Trace(
        seen.sent_ns,
        seen.command,
        seen.measured_ns,
        seen.state + rng.normal(0, noise, len(seen.state)),
    )

    found_s = delay([noisy]).delay_ns / 1e9

    # Each sine is late by atan(w lag) / w: between the fastest one's delay and the lag itself.
    w = 2 * np.pi * np.array(freqs)
    fastest_s = np.arctan(w[-1] * lag_s) / w[-1]
    # The state's noise through the filter and the correlation: its share of the slope there.
    gain = (w * SMOOTH_S * np.exp(-((w * SMOOTH_S) ** 2) / 2)) ** 2
    samples = min(state_hz, 200.0) * 18.0
    slope = np.sum(gain * (0.2 * w) ** 2)
    noise_s = noise * np.sqrt(2 / samples * np.sum(gain**2 * (0.2 * w) ** 2)) / slope
    # Straight lines between samples of a sine are wrong by at most (w dt)^2 / 8 of it, which
    # tilts towards one side by less than that share of a period.
    straight_s = max(1 / hz, 1 / state_hz) * (w[-1] / min(hz, state_hz)) ** 2 / 8
    tolerance_s = 0.25 * (lag_s - fastest_s) + 5 * noise_s + straight_s + 0.0005
    assert dead_s + fastest_s - tolerance_s <= found_s <= dead_s + lag_s + tolerance_s


def test_parts_are_joined_and_their_spread_reported() -> None:
    t, command = motion(10.0, [0.4, 0.9], 1)
    parts = [
        trace(t, command, np.interp(t - late_s, t, command), 50, 200) for late_s in (0.03, 0.05)
    ]
    found = delay(parts)
    assert found.parts == 2
    assert found.delay_ns == pytest.approx(40e6, abs=2e6)
    assert found.spread_ns == pytest.approx(np.std([30e6, 50e6], ddof=1), rel=0.1)
    assert found.correlation > 0.99


@pytest.mark.parametrize(
    ("late_s", "reason"), [(-0.06, "something else moved the arm"), (0.64, "later than 600 ms")]
)
def test_a_delay_that_cannot_be_is_refused(late_s: float, reason: str) -> None:
    t, command = motion(20.0, [0.2], 2)
    seen = trace(t, command, np.interp(t - late_s, t, command), 50, 200)
    with pytest.raises(NotMeasurableError, match=reason):
        delay([seen])


def test_noise_is_not_a_motion() -> None:
    t, command = motion(20.0, [0.5], 3)
    state = np.random.default_rng(3).normal(0, 0.2, len(t))
    with pytest.raises(NotMeasurableError, match="too loosely"):
        delay([trace(t, command, state, 50, 200)])


@pytest.mark.parametrize("value", [0.0, 1e6])
def test_a_joint_at_rest_is_refused(value: float) -> None:
    t, _ = motion(20.0, [0.5], 3)
    still = np.full(len(t), value)
    with pytest.raises(NotMeasurableError):
        delay([trace(t, still, still, 50, 200)])


def test_a_short_trace_is_refused() -> None:
    t, command = motion(1.5, [0.5], 4)
    with pytest.raises(NotMeasurableError, match="without a break"):
        delay([trace(t, command, command, 50, 200)])


@given(dead_s=st.floats(0.0, 0.2), lag_s=st.floats(0.01, 0.08), height=st.sampled_from([-0.1, 0.1]))
@settings(max_examples=30, deadline=None)
def test_a_step_of_a_first_order_arm(dead_s: float, lag_s: float, height: float) -> None:
    t = np.arange(-2.0, 2.0, FINE_S)
    command = np.where(t >= 0.5, height, 0.0)
    state = np.interp(t - dead_s, t, lagged(t, command, lag_s))
    step = step_response(trace(t, command, state, 500, 500), 500_000_000, 1_900_000_000)
    # An exponential passes a tenth after lag * ln(10/9) and nine tenths after lag * ln(10).
    assert step.onset_ns / 1e9 == pytest.approx(dead_s + lag_s * np.log(10 / 9), abs=0.005)
    assert step.rise_ns / 1e9 == pytest.approx(lag_s * np.log(9), abs=0.005)
    assert step.command_rise_ns / 1e9 < 0.005


def test_a_step_lost_in_noise_is_refused() -> None:
    t = np.arange(-2.0, 2.0, FINE_S)
    command = np.where(t >= 0.5, 0.01, 0.0)
    state = command + np.random.default_rng(5).normal(0, 0.005, len(t))
    with pytest.raises(NotMeasurableError, match="--amplitude"):
        step_response(trace(t, command, state, 500, 500), 500_000_000, 1_900_000_000)
