"""From a cell to what drives the arms: engines and LeRobot's processes are started once each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from actd.arrays import Vector
from actd.config import load
from actd.control.settings import ControlSettings
from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine
from actd.policy.spec import PolicySpec
from actd.resources import resource_dir
from actd.runtime.settings import control_settings
from actd.sim.scene import BAR
from bench.closed_loop.cells import LEROBOT, Cell
from bench.closed_loop.lockstep import Daemon, Driver, RecordLoop
from bench.lerobot_peer import Peer

_PROGRAM = Path(__file__).with_name("lerobot_policy.py")


class Contestants:
    """Makes drivers. `python` is LeRobot's interpreter."""

    def __init__(
        self,
        engines: Mapping[str, Path],
        python: str | None,
        threads: int,
        stack: ExitStack,
        scratch: Path,
    ) -> None:
        self._folders = engines
        self._python = python
        self._threads = threads
        self._stack = stack
        self._scratch = scratch
        self._engines: dict[str, Engine] = {}
        self._processes: dict[str, LeRobotProcess] = {}

    def driver(self, cell: Cell) -> Driver:
        """What drives the arms in `cell`. Raises EngineError, RuntimeError."""
        if cell.loop in LEROBOT:
            return RecordLoop(self._lerobot(cell), cell.delay_ms)
        engine = self._engines.get(cell.engine)
        if engine is None:
            engine = load_engine(self._folders[cell.engine], threads=self._threads)
            self._engines[cell.engine] = engine
            self._stack.callback(engine.close)
        return Daemon(engine, settings_of(cell, engine.spec), cell.delay_ms)

    def _lerobot(self, cell: Cell) -> LeRobotProcess:
        if self._python is None:
            raise RuntimeError("no interpreter with LeRobot")
        name = f"{cell.engine}_{cell.contestant}"
        process = self._processes.get(name)
        if process is None:
            job = {
                "policy": str(self._folders[cell.engine].resolve()),
                "rows": cell.rows,
                "coeff": cell.coeff,
                "threads": self._threads,
            }
            scratch = self._scratch / name
            scratch.mkdir()
            peer = self._stack.enter_context(Peer(self._python, _PROGRAM, job, scratch))
            process = self._processes[name] = LeRobotProcess(peer, scratch)
        return process


class LeRobotProcess:
    """`select_action` of the policy in LeRobot's process."""

    def __init__(self, peer: Peer, scratch: Path) -> None:
        self._peer = peer
        self._file = scratch / "observation.npz"
        self.is_due = True

    def reset(self) -> None:
        """Forget the chunks."""
        self._peer.ask("reset")
        self.is_due = True

    def select_action(self, observation: Observation | None) -> Vector:
        """The next action (14,)."""
        if observation is not None:
            np.savez(self._file, **dict(observation))  # type: ignore[arg-type]
            self._peer.ask(f"look {self._file}")
        self.is_due, action = self._peer.ask("select")
        return np.array(action)


def settings_of(cell: Cell, spec: PolicySpec) -> ControlSettings:
    """The daemon's, from configs/demo.yaml, with the cell's way to read chunks."""
    config = load(resource_dir("configs") / "demo.yaml")
    changes = {
        "mode": cell.loop,
        "policy_hz": spec.trained_hz or BAR.hz,
        "temporal_coeff": cell.coeff,
        "n_action_steps": cell.rows,
    }
    control = config.control.model_copy(update=changes)
    return control_settings(config.model_copy(update={"control": control}), spec)
