"""The real daemon against LeRobot's own loops: the same engine, places and busy cores.

Everyone drives the demo's simulated robot, a process of its own, and is ordered about as by the
demo's operator. They take turns, forwards and backwards, and what one pair of turns has for places
is the same for all: what slows the computer for a while slows nobody alone. With `infer_ms` all
play a copy of the engine that computes for so long, see `bench.closed_loop.slower`. With
`shift_cm` the bar is moved by so much one second after an attempt begins. What the daemon did is
kept in outputs/closed_loop, with video and flight log.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from actd.demo import deployment
from actd.demo.attempts import Attempts
from actd.demo.processes import DemoProcess
from actd.engine.manifest import read_manifest
from actd.errors import ActdError
from actd.proportions import newcombe, wilson
from actd.sim.aloha import JOINTS
from actd.sim.scene import BAR
from bench import harness
from bench.bars import BARS
from bench.closed_loop.cells import ACT_COEFF
from bench.closed_loop.slower import slower
from bench.lerobot_peer import VARIABLE, Peer, interpreter

BUSY_NICE = 10
ROBOT_NICE = -10
"""Of the simulator, which stands for a world that does not wait: only root may say so."""
_PROGRAM = Path(__file__).with_name("lerobot_record.py")
RESULT = "realtime"
_BUSY = "while True: pass"
_KEPT = Path("outputs/closed_loop")
_START_S, _SUMMARY_S, _POLL_S = 60.0, 60.0, 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """What one loop did in one turn.

    infer_ms: median; skipped: cycles that the simulator lost; faults: how often the daemon gave up
    by itself, which costs an attempt.
    """

    attempts: int
    successes: int
    infer_ms: float
    skipped: int
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What all turns share: the engine, seconds of a turn, LeRobot's interpreter, and by how much
    the bar is moved.
    """

    engine: Path
    seconds: float
    python: str
    shift_cm: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """What everyone plays: `seconds` in all, beside `load` busy processes."""

    seconds: float
    load: int
    infer_ms: float | None
    shift_cm: int

    @property
    def name(self) -> str:
        """Of the result."""
        slower = "" if self.infer_ms is None else f"-{self.infer_ms:g}ms"
        return f"{RESULT}{slower}{'-moved' if self.shift_cm else ''}"


def bench(engine: Path, conditions: Conditions, folder: Path, *, as_json: bool) -> int:
    """Let everyone play; the exit status. The result goes to `folder`.

    Raises ActdError and RuntimeError with nothing left running.
    """
    python = interpreter()
    if os.geteuid() != 0:
        raise ActdError("--realtime: the simulator goes before all others; run it as root")
    if python is None:
        raise ActdError(
            f"{VARIABLE}: not set; give an interpreter with LeRobot (scripts/make-lerobot-venv)"
        )
    turns: dict[str, list[Turn]] = {name: [] for name in LOOPS}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-loop-")))
        infer_ms = conditions.infer_ms
        played = engine if infer_ms is None else slower(engine, infer_ms, scratch)
        setting = Setting(played, conditions.seconds / 2, python, conditions.shift_cm)
        stack.enter_context(_busy(conditions.load))
        for seed, names in ((1, list(LOOPS)), (2, list(LOOPS)[::-1])):
            for name in names:
                turn = LOOPS[name](setting, seed)
                turns[name].append(turn)
                typer.echo(f"{name}: {turn.successes} of {turn.attempts}", err=True)
    extra = {
        "engine": engine.name,
        "policy": read_manifest(engine).source.identity,
        "infer_ms": conditions.infer_ms,
        "shift_cm": conditions.shift_cm,
        "busy": conditions.load,
        "turns": {name: [asdict(turn) for turn in own] for name, own in turns.items()},
    }
    options = harness.Options(rounds=1, as_json=as_json, out=folder / f"{conditions.name}.json")
    bars = BARS[f"closed_loop-realtime{'-moved' if conditions.shift_cm else ''}"]
    return harness.report("closed_loop-realtime", metrics(turns), options, extra=extra, bars=bars)


def metrics(turns: Mapping[str, list[Turn]]) -> dict[str, float]:
    """Per loop its successes with their interval; and by how much actd's share is over the best of
    LeRobot's, and over it for sure (95 %).
    """
    figures: dict[str, float] = {}
    counts: dict[str, tuple[int, int]] = {}
    for name, own in turns.items():
        attempts, successes = sum(t.attempts for t in own), sum(t.successes for t in own)
        counts[name] = (successes, attempts)
        share = successes / attempts if attempts else 0.0
        low, high = wilson(successes, attempts) if attempts else (0.0, 1.0)
        figures |= {
            f"{name}.attempts": attempts,
            f"{name}.successes": successes,
            f"{name}.share": share,
            f"{name}.low": low,
            f"{name}.high": high,
            f"{name}.infer_p50_ms": statistics.median(t.infer_ms for t in own),
            f"{name}.skipped_cycles": sum(t.skipped for t in own),
            f"{name}.faults": sum(t.faults for t in own),
        }
    best = max(
        (name for name in turns if name != "actd"), key=lambda name: figures[f"{name}.share"]
    )
    low = newcombe(counts["actd"], counts[best])[0] if counts["actd"][1] * counts[best][1] else -1.0
    return figures | {
        "actd.over_lerobot": figures["actd.share"] - figures[f"{best}.share"],
        "actd.over_lerobot_low": low,
    }


def _actd(setting: Setting, seed: int) -> Turn:
    command = [sys.executable, "-m", "bench.closed_loop.demo_turn", str(setting.engine)]
    command += [str(_KEPT / str(seed)), str(setting.seconds), str(seed), str(setting.shift_cm)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout.strip():
        raise ActdError(f"the demo ended with exit code {done.returncode}; its last line is above")
    result = json.loads(done.stdout.splitlines()[-1])
    return Turn(
        result["attempts"],
        result["successes"],
        result["inference_ms"]["p50"],
        result["robot"]["skipped_cycles"],
        result["faults"],
    )


def _lerobot(rows: int | None, coeff: float | None) -> Callable[[Setting, int], Turn]:
    """LeRobot's loop, which plays `rows` of a chunk (None: as trained) or an ensemble."""

    def play(setting: Setting, seed: int) -> Turn:
        spec = read_manifest(setting.engine).spec
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-loop-")))
            ports = deployment.free_ports()
            command = [sys.executable, "-m", "actd.sim.robot", "--seed", str(seed)]
            command += ["--shift-cm", str(setting.shift_cm), "--nice", str(ROBOT_NICE)]
            command += ["--state-port", str(ports.state), "--actions-port", str(ports.actions)]
            # The demo films too, which costs the computer something.
            command += ["--record", str(scratch / "video.mp4")]
            robot = DemoProcess("simulated robot", command, scratch / "robot.log", speaks=True)
            stack.callback(robot.end, 0)
            job = {
                "policy": str(setting.engine.resolve()),
                "rows": None if coeff is not None else rows or spec.n_action_steps,
                "coeff": coeff,
                "threads": 1,
                "hz": spec.trained_hz or BAR.hz,
                "joints": JOINTS,
                "cameras": robot.read_line(_START_S)["cameras"],
                "ports": [ports.state, ports.actions, ports.status, ports.control],
            }
            peer = stack.enter_context(Peer(setting.python, _PROGRAM, job, scratch))
            infer_ms = _operate(peer, robot, setting.seconds)
            peer.close()
            robot.ask_to_end()
            summary = _summary(robot)
        return Turn(
            summary["attempts"], summary["successes"], infer_ms or 0.0, summary["skipped_cycles"]
        )

    return play


def _operate(peer: Peer, robot: DemoProcess, seconds: float) -> float | None:
    """The demo's operator before LeRobot's loop; the median of its inferences in ms."""
    attempts = Attempts()
    score: Mapping[str, Any] = {"stage": "home", "successes": 0}
    order = ""
    start_s = time.monotonic()
    while True:
        mode, infer_ms = peer.ask(order)
        now_s = time.monotonic()
        if now_s - start_s > seconds:
            return None if infer_ms is None else float(infer_ms)
        robot.check()
        for message in robot.read_lines():
            score = message.get("score", score)
        order = attempts.next_order(mode, "", score["stage"], score["successes"], now_s) or ""
        time.sleep(_POLL_S)


def _summary(robot: DemoProcess) -> Mapping[str, Any]:
    while True:
        message = robot.read_line(_SUMMARY_S)
        if "done" in message:
            summary: Mapping[str, Any] = message["done"]
            return summary


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """So many processes that never wait, meanwhile."""
    command = ["nice", "-n", str(BUSY_NICE), sys.executable, "-c", _BUSY]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


LOOPS: Mapping[str, Callable[[Setting, int], Turn]] = {
    "actd": _actd,
    "select_action": _lerobot(rows=None, coeff=None),
    "ensembler": _lerobot(rows=None, coeff=ACT_COEFF),
}
