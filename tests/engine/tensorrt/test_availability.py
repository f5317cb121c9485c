"""What is missing for TensorRT is said all at once, with what mends it."""

from __future__ import annotations

import pytest

from actd.engine.load import missing
from actd.engine.tensorrt.availability import require
from actd.errors import EngineError


@pytest.mark.skipif(not missing("trt"), reason="this computer has TensorRT")
def test_everything_missing_is_said_at_once() -> None:
    with pytest.raises(EngineError) as refused:
        require()
    message = str(refused.value)
    assert message.startswith("trt: ")
    assert "\n" not in message
    assert all(problem in message for problem in missing("trt"))
