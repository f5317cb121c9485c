"""Rows out of the rings: the values of the moment, however late they are looked up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actd.errors import RecordingError
from actd.runtime.channels import Channels, Shapes, open_channels, tick_dtype
from actd.runtime.dataset_rows import Row, Sampler

MS = 1_000_000
PERIOD_NS = 20 * MS
SHAPES = Shapes(cameras={"top": (4, 6)}, chunk_size=5, action_dim=2, state_dim=3, env_dim=1)
KEY = "observation.images.top"


@pytest.fixture
def channels() -> Channels:
    return open_channels(SHAPES)


@pytest.fixture
def sampler(channels: Channels) -> Sampler:
    return Sampler(channels, {"top": KEY}, PERIOD_NS)


def tick(channels: Channels, due_ns: int, action: float) -> None:
    record = np.zeros((), tick_dtype(2, 1))
    record["due_ns"], record["wake_ns"], record["action"] = due_ns, due_ns + MS, action
    channels.ticks.write(tuple(record[name] for name in record.dtype.names or ()))


def state(channels: Channels, t_ns: int, value: float) -> None:
    channels.states.write((t_ns, [value] * 3, [-value]))


def frame(channels: Channels, t_ns: int, value: int) -> None:
    channels.frames["top"].write((t_ns, t_ns, 0, 1, 0, np.full((4, 6, 3), value, np.uint8)))


def row(sampler: Sampler, t_ns: int, **options: Any) -> Row:
    found = sampler.tick(t_ns)
    assert found is not None
    return sampler.row(found, **options)


def test_a_row_is_what_its_tick_saw_and_sent(channels: Channels, sampler: Sampler) -> None:
    for number in range(1, 5):
        tick(channels, number * PERIOD_NS, number)
        state(channels, number * PERIOD_NS, 10 * number)
        # From the third on they are captured just after the tick of that number woke.
        frame(channels, number * PERIOD_NS + (0 if number < 3 else 2 * MS), 50 * number)
    found = [row(sampler, number * PERIOD_NS) for number in range(1, 5)]
    assert [r.vectors["action"][0] for r in found] == [1, 2, 3, 4]
    assert [r.vectors["observation.state"][0] for r in found] == [10, 20, 30, 40]
    assert [r.vectors["observation.environment_state"][0] for r in found] == [-10, -20, -30, -40]
    shown = [r.images[KEY][0, 0, 0] for r in found]
    assert shown == [50, 100, 100, 150]
    assert [r.repeated for r in found] == [0, 0, 1, 0]


def test_clocks_a_little_apart_do_not_lose_a_tick(channels: Channels, sampler: Sampler) -> None:
    tick(channels, 10 * PERIOD_NS, 1)
    tick(channels, 11 * PERIOD_NS, 2)
    for apart_ns in (-PERIOD_NS // 2 + 1, -1, 0, 1, PERIOD_NS // 2 - 1):
        found = sampler.tick(11 * PERIOD_NS + apart_ns)
        assert found is not None
        assert found["action"][0] == 2
    assert sampler.has_ticked(11 * PERIOD_NS + 1)
    assert not sampler.has_ticked(12 * PERIOD_NS - 1)


def test_the_first_row_takes_the_oldest_image_there_is(
    channels: Channels, sampler: Sampler
) -> None:
    state(channels, 0, 1)
    tick(channels, PERIOD_NS, 1)
    for number in range(2, 30):
        frame(channels, number * PERIOD_NS, number)
    oldest = channels.frames["top"].history("t_capture_ns")[1][0] // PERIOD_NS
    assert oldest > 2
    assert row(sampler, PERIOD_NS).images[KEY][0, 0, 0] == oldest
    assert row(sampler, PERIOD_NS).repeated == 1


def test_a_full_backlog_takes_no_new_image(channels: Channels, sampler: Sampler) -> None:
    state(channels, 0, 1)
    frame(channels, PERIOD_NS, 10)
    tick(channels, PERIOD_NS, 1)
    first = row(sampler, PERIOD_NS)
    frame(channels, 2 * PERIOD_NS, 20)
    tick(channels, 2 * PERIOD_NS, 2)
    second = row(sampler, 2 * PERIOD_NS, new_images=False)
    assert second.images[KEY] is first.images[KEY]
    assert (second.repeated, second.vectors["action"][0]) == (1, 2)


def test_a_moment_before_memory_begins_is_unknown(channels: Channels, sampler: Sampler) -> None:
    assert sampler.tick(PERIOD_NS) is None
    assert not sampler.has_ticked(PERIOD_NS)
    tick(channels, 5 * PERIOD_NS, 1)
    assert sampler.tick(PERIOD_NS) is None
    with pytest.raises(RecordingError, match="robot state: none is known"):
        row(sampler, 5 * PERIOD_NS)
    state(channels, 5 * PERIOD_NS, 1)
    with pytest.raises(RecordingError, match=f"{KEY}: no frame"):
        row(sampler, 5 * PERIOD_NS)
