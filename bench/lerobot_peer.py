"""LeRobot's ACTPolicy as a contestant: a process that infers when it is its turn.

ACTD_LEROBOT_PYTHON names an interpreter with LeRobot (scripts/make-lerobot-venv makes one). A
process that ends is a RuntimeError with its last words.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

VARIABLE = "ACTD_LEROBOT_PYTHON"
_LOOP = Path(__file__).with_name("lerobot_loop.py")


def interpreter() -> str | None:
    """LeRobot's interpreter, None where there is none."""
    return os.environ.get(VARIABLE) or None


class LeRobot:
    """One policy. `spent_ns` has a row (preparing, predicting, finishing) for every call."""

    def __init__(
        self,
        python: str,
        checkpoint: Path,
        observation: Mapping[str, NDArray[Any]],
        threads: int,
        scratch: Path,
        *,
        device: str = "cpu",
    ) -> None:
        stored, self._actions = scratch / "observation.npz", scratch / "actions.npy"
        arrays: dict[str, Any] = dict(observation)
        np.savez(stored, **arrays)
        job = {
            "checkpoint": str(checkpoint),
            "observation": str(stored),
            "actions": str(self._actions),
            "threads": threads,
            "device": device,
        }
        self._log = (scratch / "lerobot.log").open("w+")
        self._process = subprocess.Popen(
            [python, str(_LOOP), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
        self.spent_ns: list[tuple[int, int, int]] = []
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LeRobot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def actions(self) -> NDArray[np.float32]:
        """Its chunk (chunk, joints) for the observation, in physical units."""
        found: NDArray[np.float32] = np.load(self._actions)
        return found

    def __call__(self) -> None:
        """Infer once."""
        if self._process.stdin is None:
            raise RuntimeError("LeRobot's process has no standard input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        prepare, predict, finish = json.loads(self._answer())
        self.spent_ns.append((prepare, predict, finish))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._log.seek(0)
            words = self._log.read().strip().splitlines()
            raise RuntimeError(f"LeRobot ended: {words[-1] if words else 'without a word'}")
        return line
