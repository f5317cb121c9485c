"""The simulator, where the machine has its model and can draw."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actd.errors import ActdError
from actd.sim.aloha import AlohaSim
from actd.sim.scene import BAR


@pytest.fixture
def sim() -> Iterator[AlohaSim]:
    """Arms at the start pose; skips without MuJoCo or the model."""
    try:
        with AlohaSim(BAR) as arms:
            yield arms
    except ActdError as error:
        pytest.skip(str(error))


@pytest.fixture
def drawing(sim: AlohaSim) -> AlohaSim:
    """A simulator that can render; skips where there is no OpenGL."""
    try:
        sim.render(next(iter(BAR.cameras)))
    except ActdError as error:
        pytest.skip(str(error))
    return sim
