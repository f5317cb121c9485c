"""`queue` answers what LeRobot's `select_action` answers, over a recorded episode.

golden/select_action.npz was made with LeRobot 0.4.4: an untrained ACTPolicy (chunks of 20 rows,
6 joints, state and environment state as inputs, no ensembling) was asked for 300 steps of a
random walk, once with n_action_steps 7 and once with 20. `actions_N` is what select_action
returned, `chunks_N` and `ticks_N` are the chunks it predicted and the steps at which it did.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "select_action.npz")


@pytest.mark.parametrize("n_action_steps", [7, 20])
@pytest.mark.parametrize("policy_hz", [50.0, 30.0])
def test_queue_equals_lerobots_select_action(n_action_steps: int, policy_hz: float) -> None:
    expected = GOLDEN[f"actions_{n_action_steps}"]
    chunks = dict(
        zip(GOLDEN[f"ticks_{n_action_steps}"], GOLDEN[f"chunks_{n_action_steps}"], strict=True)
    )
    assert len(expected) == 300
    assert len(chunks) == -(-300 // n_action_steps)
    subject = ChunkBuffer(ChunkSettings("queue", policy_hz, 20, 6, n_action_steps))
    for tick in range(300):
        due_ns = 7 * 10**9 + round(tick * 1e9 / policy_hz)
        if tick in chunks:
            assert subject.add(ActionChunk(tick + 1, due_ns, chunks[tick]))
        sample = subject.at(due_ns)
        assert sample is not None
        np.testing.assert_array_equal(sample.action, expected[tick])


def test_queue_equals_lerobot_also_with_an_inference_at_every_tick() -> None:
    """The chunks that LeRobot does not ask for are there, and are not used."""
    expected, ticks = GOLDEN["actions_7"], GOLDEN["ticks_7"].tolist()
    subject = ChunkBuffer(ChunkSettings("queue", 50.0, 20, 6, 7))
    for tick in range(300):
        wrong = np.full((20, 6), 1e6, np.float32)
        chunk = GOLDEN["chunks_7"][ticks.index(tick)] if tick in ticks else wrong
        subject.add(ActionChunk(tick + 1, tick * 20_000_000, chunk))
        sample = subject.at(tick * 20_000_000)
        assert sample is not None
        np.testing.assert_array_equal(sample.action, expected[tick])
