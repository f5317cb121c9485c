"""Whether `actuation_latency_ms` makes up for an arm's lag depends on what the data call action.

A perfect policy gives the actions of the demonstration, and the arm is late by a known time.
The arm should go where it went in the demonstration, when it did.
"""

from __future__ import annotations

import numpy as np
import pytest

from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings

HZ = 100
LAG = 9  # rows: 90 ms
CHUNK = 100
ROWS = 2000
PERIOD_NS = 1_000_000_000 // HZ


def leader() -> np.ndarray:
    """(ROWS,): what a person's hand does, about 1 rad to and fro within 3 s."""
    t = np.arange(ROWS) / HZ
    return 0.48 * np.sin(2 * np.pi * 0.33 * t) + 0.1 * np.sin(2 * np.pi * 1.2 * t + 1.0)


def delayed(command: np.ndarray) -> np.ndarray:
    """The arm's position under `command`, both (n,)."""
    return np.concatenate([np.full(LAG, command[0]), command[:-LAG]])


def replayed(actions: np.ndarray, latency_ms: float) -> np.ndarray:
    """Where the arm goes under the daemon, when its policy gives `actions` (ROWS,) exactly."""
    settings = ChunkSettings(
        mode="latest",
        policy_hz=HZ,
        chunk_size=CHUNK,
        action_dim=1,
        n_action_steps=CHUNK,
        crossfade_ns=0,
        latency_ns=(round(latency_ms * 1e6),),
    )
    buffer = ChunkBuffer(settings)
    commands = []
    for k in range(ROWS - CHUNK):
        rows = actions[k : k + CHUNK, None].astype(np.float32)
        buffer.add(ActionChunk(k + 1, k * PERIOD_NS, rows))
        sample = buffer.at(k * PERIOD_NS)
        assert sample is not None
        commands.append(sample.action[0])
    return delayed(np.array(commands))


def rms(actions: np.ndarray, shown: np.ndarray, latency_ms: float) -> float:
    """Between the arm and the demonstration, in rad, once both are under way."""
    difference = replayed(actions, latency_ms) - shown[: ROWS - CHUNK]
    return float(np.sqrt(np.mean(difference[2 * LAG :] ** 2)))


@pytest.mark.parametrize(("latency_ms", "expected"), [(0, 0.0), (90, 0.078)])
def test_the_leaders_command_has_the_lag_in_it(latency_ms: float, expected: float) -> None:
    commands = leader()
    shown = delayed(commands)  # the follower, while the person demonstrated
    assert rms(commands, shown, latency_ms) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("latency_ms", "expected"), [(0, 0.078), (90, 0.0)])
def test_a_measured_position_has_not(latency_ms: float, expected: float) -> None:
    shown = leader()  # the hand itself was measured
    assert rms(shown, shown, latency_ms) == pytest.approx(expected, abs=5e-4)
