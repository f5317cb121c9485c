"""Rows out of the rings: the values of the moment, however late they are looked up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actd.errors import RecordingError
from actd.runtime.channels import Blocks, Shapes, open_blocks, tick_dtype
from actd.runtime.dataset_rows import Row, Sampler

MS = 1_000_000
PERIOD_NS = 20 * MS
SHAPES = Shapes(cameras={"top": (4, 6)}, chunk_size=5, action_dim=2, state_dim=3, env_dim=1)
KEY = "observation.images.top"


@pytest.fixture
def blocks() -> Blocks:
    return open_blocks(SHAPES)


@pytest.fixture
def sampler(blocks: Blocks) -> Sampler:
    return Sampler(blocks, {"top": KEY}, PERIOD_NS)


def tick(blocks: Blocks, due_ns: int, action: float) -> None:
    record = np.zeros((), tick_dtype(2, 1))
    record["due_ns"], record["wake_ns"], record["action"] = due_ns, due_ns + MS, action
    blocks.ticks.write(tuple(record[name] for name in record.dtype.names or ()))


def state(blocks: Blocks, t_ns: int, value: float) -> None:
    blocks.states.write((t_ns, [value] * 3, [-value]))


def frame(blocks: Blocks, t_ns: int, value: int) -> None:
    blocks.frames["top"].write((t_ns, t_ns, 0, 1, np.full((4, 6, 3), value, np.uint8)))


def row(sampler: Sampler, t_ns: int, **options: Any) -> Row:
    found = sampler.tick(t_ns)
    assert found is not None
    return sampler.row(found, **options)


def test_a_row_is_what_its_tick_saw_and_sent(blocks: Blocks, sampler: Sampler) -> None:
    for number in range(1, 5):
        tick(blocks, number * PERIOD_NS, number)
        state(blocks, number * PERIOD_NS, 10 * number)
        # From the third on they are captured just after the tick of that number woke.
        frame(blocks, number * PERIOD_NS + (0 if number < 3 else 2 * MS), 50 * number)
    found = [row(sampler, number * PERIOD_NS) for number in range(1, 5)]
    assert [r.vectors["action"][0] for r in found] == [1, 2, 3, 4]
    assert [r.vectors["observation.state"][0] for r in found] == [10, 20, 30, 40]
    assert [r.vectors["observation.environment_state"][0] for r in found] == [-10, -20, -30, -40]
    shown = [r.pictures[KEY][0, 0, 0] for r in found]
    assert shown == [50, 100, 100, 150]
    assert [r.repeated for r in found] == [0, 0, 1, 0]


def test_clocks_a_little_apart_do_not_lose_a_tick(blocks: Blocks, sampler: Sampler) -> None:
    tick(blocks, 10 * PERIOD_NS, 1)
    tick(blocks, 11 * PERIOD_NS, 2)
    for apart_ns in (-PERIOD_NS // 2 + 1, -1, 0, 1, PERIOD_NS // 2 - 1):
        found = sampler.tick(11 * PERIOD_NS + apart_ns)
        assert found is not None
        assert found["action"][0] == 2
    assert sampler.has_ticked(11 * PERIOD_NS + 1)
    assert not sampler.has_ticked(12 * PERIOD_NS - 1)


def test_the_first_row_takes_the_oldest_picture_there_is(blocks: Blocks, sampler: Sampler) -> None:
    state(blocks, 0, 1)
    tick(blocks, PERIOD_NS, 1)
    for number in range(2, 30):
        frame(blocks, number * PERIOD_NS, number)
    oldest = blocks.frames["top"].history("t_capture_ns")[1][0] // PERIOD_NS
    assert oldest > 2
    assert row(sampler, PERIOD_NS).pictures[KEY][0, 0, 0] == oldest
    assert row(sampler, PERIOD_NS).repeated == 1


def test_a_full_backlog_takes_no_new_picture(blocks: Blocks, sampler: Sampler) -> None:
    state(blocks, 0, 1)
    frame(blocks, PERIOD_NS, 10)
    tick(blocks, PERIOD_NS, 1)
    first = row(sampler, PERIOD_NS)
    frame(blocks, 2 * PERIOD_NS, 20)
    tick(blocks, 2 * PERIOD_NS, 2)
    second = row(sampler, 2 * PERIOD_NS, new_pictures=False)
    assert second.pictures[KEY] is first.pictures[KEY]
    assert (second.repeated, second.vectors["action"][0]) == (1, 2)


def test_a_moment_before_memory_begins_is_unknown(blocks: Blocks, sampler: Sampler) -> None:
    assert sampler.tick(PERIOD_NS) is None
    assert not sampler.has_ticked(PERIOD_NS)
    tick(blocks, 5 * PERIOD_NS, 1)
    assert sampler.tick(PERIOD_NS) is None
    with pytest.raises(RecordingError, match="robot state: none is known"):
        row(sampler, 5 * PERIOD_NS)
    state(blocks, 5 * PERIOD_NS, 1)
    with pytest.raises(RecordingError, match=f"{KEY}: no frame"):
        row(sampler, 5 * PERIOD_NS)
