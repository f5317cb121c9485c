"""LeRobot's policies in a process of their own, which answers line by line.

ACTD_LEROBOT_PYTHON names an interpreter with LeRobot (scripts/make-lerobot-venv makes one). A
process that ends is a RuntimeError with its last words.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.errors import ActdError

VARIABLE = "ACTD_LEROBOT_PYTHON"
ROOT = Path(__file__).resolve().parents[1]
_LOOP = Path(__file__).with_name("lerobot_loop.py")
_PLUGIN = ROOT / "plugins" / "lerobot_policy_actd"


def interpreter() -> str | None:
    """LeRobot's interpreter, None where none is named. Raises ActdError where it is not there."""
    python = os.environ.get(VARIABLE) or None
    if python is not None and not Path(python).is_file():
        raise ActdError(f"{VARIABLE}: {python}: no such file; scripts/make-lerobot-venv makes one")
    return python


class Peer:
    """A Python program under LeRobot's interpreter. It can import actd and its LeRobot plugin."""

    def __init__(self, python: str, program: Path, job: Mapping[str, Any], scratch: Path) -> None:
        """`program` is given `job` as JSON, and says one line when it is ready."""
        self._log = (scratch / f"{program.stem}.log").open("w+")
        self._process = subprocess.Popen(
            [python, str(program), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{ROOT}:{_PLUGIN}"},
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, line: str = "") -> Any:
        """Say a line; the answer, from JSON."""
        self.tell(line)
        return json.loads(self._answer())

    def tell(self, line: str) -> None:
        """Say a line that has no answer."""
        if self._process.stdin is None:
            raise RuntimeError("LeRobot's process has no standard input")
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def finish(self) -> Any:
        """Let it end; its last line, from JSON."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            self._process.stdin = None
        return json.loads(self._answer())

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


class LeRobot(Peer):
    """One policy. `spent_ns` has a row (preparing, predicting, finishing) for every call.

    `plugins`: modules with policies. `method`: see bench.lerobot_loop.
    """

    def __init__(
        self,
        python: str,
        checkpoint: Path,
        observation: Mapping[str, NDArray[Any]],
        threads: int,
        scratch: Path,
        *,
        device: str = "cpu",
        plugins: Sequence[str] = (),
        method: str = "predict_action_chunk",
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
            "plugins": list(plugins),
            "method": method,
        }
        self.spent_ns: list[tuple[int, int, int]] = []
        super().__init__(python, _LOOP, job, scratch)

    @property
    def actions(self) -> NDArray[np.float32]:
        """Its chunk (chunk, joints) for the observation, in physical units."""
        found: NDArray[np.float32] = np.load(self._actions)
        return found

    def __call__(self) -> None:
        """Infer once."""
        prepare, predict, finish = self.ask()
        self.spent_ns.append((prepare, predict, finish))
