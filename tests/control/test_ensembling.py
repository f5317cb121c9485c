"""Ensembling of recorded chunks is what the daemon's planner commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings
from actd.control.ensembling import ensemble


@given(
    stride=st.integers(1, 5),
    frames=st.integers(1, 6),
    steps=st.integers(1, 6),
    coeff=st.sampled_from([-0.1, 0.0, 0.01, 0.5]),
    seed=st.integers(0, 99),
)
def test_it_is_what_the_planner_says(
    stride: int, frames: int, steps: int, coeff: float, seed: int
) -> None:
    chunks = np.random.default_rng(seed).normal(size=(frames, steps, 2)).astype(np.float32)
    made, ticks = np.arange(frames) * stride, (frames - 1) * stride + steps + 2
    found = ensemble(chunks, coeff, made_at=made, ticks=ticks)
    buffer = ChunkBuffer(
        ChunkSettings("temporal", 50.0, steps, 2, n_action_steps=1, temporal_coeff=coeff)
    )
    for tick in range(ticks):
        due_ns = tick * 20_000_000
        if tick in made:
            row = int(tick // stride)
            buffer.add(ActionChunk(row + 1, due_ns, chunks[row]))
        sample = buffer.at(due_ns)
        if sample is None:
            assert np.isnan(found[tick]).all()
        else:
            assert found[tick] == pytest.approx(sample.action, abs=1e-6)


def test_consecutive_frames_are_the_default() -> None:
    chunks = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    assert np.array_equal(ensemble(chunks), ensemble(chunks, made_at=[0, 1, 2], ticks=3))
    assert ensemble(chunks, 0.0)[:, 0].tolist() == [0.0, (1 + 4) / 2, (2 + 5 + 8) / 3]
