"""Every GPU engine: built, compared with torch, timed, in one call and one JSON file.

`python -m bench.gpu [--checkpoint CKPT]`. Builds what this computer can run of the GPU
engines (TensorRT plans included), compares their actions with torch's in float32 on the CPU, and
times them in interleaved rounds beside torch in float32 and float16 on the GPU and LeRobot's own
ACTPolicy: from frames in host memory to actions in host memory. What cannot run is a row that
says why, and the rest goes on. The exit status is 1 when a bar is missed or was not measured.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine, missing
from actd.engine.manifest import read_manifest
from actd.engine.recipe import load_recipe, recipe_names
from actd.engine.verify import compare
from actd.errors import ActdError, EngineError
from actd.evaluation.engine_cache import CheckpointSource, build_or_reuse, default_source
from actd.host import gpu_used_mb
from actd.timing import interleave, percentiles
from bench import harness
from bench.gpu.rivals import TORCH, Infer, lerobot, torch_policy

RUNTIMES = ("cuda", "ort-trt", "trt")
LEROBOT = "lerobot"
REFERENCE = "torch-fp32"
WARMUP = 20

Row = dict[str, Any]


@dataclass(slots=True)
class Bench:
    """What the run has gathered: a row for everyone, and a call for everyone who is ready."""

    observations: Sequence[Observation]
    expected: NDArray[np.float32]
    action_std: Sequence[float] | None
    rows: dict[str, Row] = field(default_factory=dict)
    calls: dict[str, Callable[[], object]] = field(default_factory=dict)
    stages: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    def attempt(self, name: str, make: Callable[[], Row]) -> None:
        """Make a contender ready, or its row the reason why it is not."""
        try:
            self.rows[name] = {"status": "ok", **make()}
        except ActdError as error:
            self.rows[name] = {"status": f"unavailable: {error}"}
        except Exception as error:  # noqa: BLE001  one rival's crash is a row, not the end
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.rows[name] = {"status": f"failed: {reason[:300]}"}

    def admit(self, name: str, infer: Infer) -> Row:
        """Take it into the rounds; gives its errors against torch in float32."""
        found = np.stack([infer(observation) for observation in self.observations])
        self.calls[name] = partial(infer, self.observations[0])
        parity = compare(found, self.expected, self.action_std)
        return {"max_std": parity.max_std, "p99_std": parity.p99_std, "max": parity.max}

    def admit_engine(self, name: str, engine: Engine) -> Row:
        """The same, with where each inference spends its time."""
        row = self.admit(name, engine.infer)
        taken = self.stages.setdefault(name, [])

        def infer() -> None:
            engine.infer(self.observations[0])
            stages = engine.stages
            taken.append((stages.copy_in_ns, stages.run_ns, stages.copy_out_ns))

        self.calls[name] = infer
        return row


def main(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A trained policy; else an untrained ACT, 2 x 480x640.")
    ] = None,
    rounds: harness.Rounds = 300,
    device: Annotated[str, typer.Option(help="Where torch and LeRobot compute.")] = "cuda",
    as_json: harness.AsJson = False,
    out: harness.Out = None,
) -> None:
    """Build, compare and time everything that this computer's GPU can run."""
    source = CheckpointSource(str(checkpoint)) if checkpoint else None
    harness.exit_with(lambda: bench(source, device, harness.Options(rounds, as_json, out)))


def bench(source: CheckpointSource | None, device: str, options: harness.Options) -> int:
    """The whole run; returns the exit status."""
    tell = partial(print, file=sys.stderr)
    source = source or default_source(tell)
    names = [name for name in recipe_names() if load_recipe(name).runtime in RUNTIMES]
    lacking = {name: missing(load_recipe(name).runtime) for name in names}
    folders = build_or_reuse({name: name for name in names if not lacking[name]}, source, tell)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-gpu-")))
        # plans that the export left would make the first load a second one
        os.environ["CACHE_DIRECTORY"] = str(scratch / "cache")
        run = _start(source, tell)
        for name in names:
            tell(f"{name}: loading")
            folder = folders.get(name, EngineError("; ".join(lacking[name])))
            run.attempt(name, partial(_engine, run, name, folder, stack))
        for name, precision in TORCH.items():
            tell(f"{name}: loading")
            run.attempt(name, partial(_torch, run, name, source, precision, device))
        tell(f"{LEROBOT}: loading")
        run.attempt(LEROBOT, partial(_lerobot, run, source, device, scratch, stack))
        tell(f"timing {', '.join(run.calls) or 'nothing'}")
        samples = interleave(run.calls, rounds=options.rounds, warmup=WARMUP)
    return _report(run, samples, source, names, options)


def _start(source: CheckpointSource, tell: Callable[[str], None]) -> Bench:
    """The observations, and torch's answers in float32 on the CPU."""
    from actd.policy.checkpoint import load_checkpoint
    from actd.policy.synthetic import synthetic

    tell("torch answers on the CPU in float32")
    checkpoint = load_checkpoint(source.path)
    observations = synthetic(checkpoint, count=4, seed=3)
    infer = torch_policy(Path(source.path), "float32", "cpu")
    expected = np.stack([infer(observation) for observation in observations])
    return Bench(observations, expected, checkpoint.action_std())


def _engine(run: Bench, name: str, folder: Path | ActdError, stack: ExitStack) -> Row:
    """Load twice: the first time builds what is built on the robot, the second has it."""
    if isinstance(folder, ActdError):
        raise folder
    started_ns = perf_counter_ns()
    load_engine(folder, spin=True).close()
    first_ns, used_mb = perf_counter_ns(), gpu_used_mb()
    engine = load_engine(folder, spin=True)
    stack.callback(engine.close)
    loaded_ns, in_use_mb = perf_counter_ns(), gpu_used_mb()
    return {
        **run.admit_engine(name, engine),
        "first_load_s": (first_ns - started_ns) / 1e9,
        "load_s": (loaded_ns - first_ns) / 1e9,
        "gpu_mb": None if in_use_mb is None or used_mb is None else in_use_mb - used_mb,
        "folder_mb": read_manifest(folder).size_bytes / 1e6,
        "notes": list(getattr(engine, "notes", ())),
    }


def _torch(run: Bench, name: str, source: CheckpointSource, precision: str, device: str) -> Row:
    return run.admit(name, torch_policy(Path(source.path), precision, device))


def _lerobot(
    run: Bench, source: CheckpointSource, device: str, scratch: Path, stack: ExitStack
) -> Row:
    peer = lerobot(Path(source.path), run.observations[0], device, scratch)
    stack.callback(peer.close)
    run.calls[LEROBOT] = peer
    parity = compare(peer.actions[None], run.expected[:1], run.action_std)
    return {"max_std": parity.max_std, "p99_std": parity.p99_std, "max": parity.max}


def _report(
    run: Bench,
    samples: dict[str, list[int]],
    source: CheckpointSource,
    engines: Sequence[str],
    options: harness.Options,
) -> int:
    timings = {name: percentiles(taken) for name, taken in samples.items()}
    metrics: dict[str, float] = {}
    slowest = next((name for name in (LEROBOT, REFERENCE) if name in samples), None)
    for name, timing in timings.items():
        run.rows[name] |= timing.to_dict() | _medians(run.stages.get(name, []), options.rounds)
        metrics[f"{name}.p50_ms"] = timing.p50_ms
        metrics[f"{name}.p99_ms"] = timing.p99_ms
        metrics[f"{name}.speedup"] = harness.speedup(samples[slowest or name], samples[name])
    ready = [name for name in engines if name in timings]
    if ready:
        best = min(ready, key=lambda name: timings[name].p50_ms)
        metrics["best.p50_ms"] = timings[best].p50_ms
        if LEROBOT in samples:
            metrics["best.vs_lerobot"] = metrics[f"{best}.speedup"]
    extra = {"checkpoint": source.path, "rows": [{"name": n, **row} for n, row in run.rows.items()]}
    for name, row in run.rows.items():
        print(f"{name:14} {row['status']}", file=sys.stderr)
    return harness.report("gpu", metrics, options, timings=timings, extra=extra)


def _medians(stages: list[tuple[int, int, int]], rounds: int) -> Row:
    if not stages:
        return {}
    columns = zip(*stages[-rounds:], strict=True)
    names = ("copy_in_ms", "run_ms", "copy_out_ms")
    return {name: statistics.median(c) / 1e6 for name, c in zip(names, columns, strict=True)}


if __name__ == "__main__":
    typer.run(main)
