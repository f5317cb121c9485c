"""An arm behind a bus that takes a while: what `bench.drive` lets both programs drive."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

JOINTS = [f"joint_{number}" for number in range(14)]
BUS_MS = "BENCH_BUS_MS"


class Arm:
    """An arm that is where it was told to be; reading and writing it takes $BENCH_BUS_MS."""

    def __init__(self) -> None:
        self._half_s = float(os.environ[BUS_MS]) / 2000
        self._places = dict.fromkeys(JOINTS, 0.0)

    def connect(self) -> None:
        pass

    def read(self) -> dict[str, float]:
        time.sleep(self._half_s)
        return self._places

    def command(self, targets: Mapping[str, float]) -> None:
        time.sleep(self._half_s)
        self._places = dict(targets)

    def close(self) -> None:
        pass
