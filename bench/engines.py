"""The default ACT (two cameras of 480x640, chunk 100) in every CPU engine, torch and LeRobot.

`ACTD_LEROBOT_PYTHON=... python -m bench.engines --rounds 25`. The policy is untrained: its weights
do not change how long it takes. Everything computes on two threads, the robot's share of a small
computer, and takes turns within each round: our engines, torch running the same checkpoint,
LeRobot's own `ACTPolicy.predict_action_chunk` in a process of its own, and large matrix products
that show what the machine can do (bench.roofline). All ratios are medians over rounds.

Engines are kept in the user's cache; the first run builds them, which takes minutes.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from actd.engine.candidate import TORCH, Candidate, OpenCandidate
from actd.engine.load import missing
from actd.engine.observations import random_observation
from actd.engine.recipe import load_recipe, recipe_names
from actd.errors import ActdError
from actd.evaluation import memory
from actd.evaluation.engine_cache import CheckpointSource, build_or_reuse, default_source
from actd.evaluation.inference_timing import SETTLE_S
from actd.timing import interleave, percentiles
from bench import harness
from bench.lerobot_peer import VARIABLE, LeRobot, interpreter
from bench.roofline import Probe, Work, bound_ns, count, probes

THREADS = 2
CPU_RUNTIMES = ("ort", "openvino")
COMPILED = "torch-compile"
LEROBOT = "lerobot"
PLAIN = "ort-fp32"

Metrics = dict[str, float]
Samples = Mapping[str, list[int]]


def main(
    rounds: harness.Rounds = 25,
    compiled: Annotated[
        bool, typer.Option("--compile", help=f"{COMPILED} too; its compiler takes a minute.")
    ] = False,
    checkpoint: Annotated[
        str | None, typer.Option(help="Of this policy, not an untrained.")
    ] = None,
    as_json: harness.AsJson = False,
    out: harness.Out = None,
) -> None:
    """Time them all and hold the best engine against LeRobot and against the machine."""
    options = harness.Options(rounds, as_json, out)
    harness.exit_with(lambda: bench(options, checkpoint, compiled=compiled))


def bench(options: harness.Options, checkpoint: str | None, *, compiled: bool) -> int:
    """The whole run; returns the exit status."""
    tell = partial(print, file=sys.stderr)
    source = default_source(tell) if checkpoint is None else CheckpointSource(checkpoint)
    engines = _engines(source, compiled, tell)
    work = _work(engines)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-engines-")))
        torch = Candidate(TORCH, checkpoint=source.path, threads=THREADS)
        opened = [candidate.open(spin=True) for candidate in (torch, *engines)]
        for each in opened:
            stack.callback(each.close)
        tell("loading each engine in a process of its own")
        metrics = {f"{c.name}.load_s": memory.measure(c).load_ms / 1000 for c in engines}
        peer = _lerobot(stack, Path(source.path), opened[0], scratch)
        tell("looking for the fastest matrix products")
        products = probes(THREADS, scratch)
        tell(f"timing {options.rounds} rounds")
        samples = _rounds(opened, peer, products, options.rounds)
        metrics |= _figures(samples, peer, products, work, [c.name for c in engines])
    return _report(samples, metrics, options)


def _takes_part(name: str, compiled: bool) -> bool:
    runtime = load_recipe(name).runtime
    wanted = runtime in CPU_RUNTIMES or (compiled and name == COMPILED)
    return wanted and not missing(runtime)


def _engines(
    source: CheckpointSource, compiled: bool, tell: Callable[[str], None]
) -> list[Candidate]:
    """Those that can be had here, built where they are not in the cache."""
    wanted = [name for name in recipe_names() if _takes_part(name, compiled)]
    found = build_or_reuse({name: name for name in wanted}, source, tell)
    engines = []
    for name, folder in sorted(found.items()):
        if isinstance(folder, ActdError):
            tell(f"{name} does not take part: {folder}")
        else:
            engines.append(Candidate(name, str(folder), threads=THREADS))
    return engines


def _work(engines: list[Candidate]) -> Work:
    """What one inference multiplies, by the plainest graph there is."""
    for candidate in engines:
        if candidate.name == PLAIN:
            return count(Path(str(candidate.folder)) / "model.onnx")
    raise ActdError(f"{PLAIN}: was not built, and the roofline counts its multiplications")


def _lerobot(
    stack: ExitStack, checkpoint: Path, torch: OpenCandidate, scratch: Path
) -> LeRobot | None:
    """LeRobot running the same checkpoint; it must say what our torch says."""
    python = interpreter()
    if python is None:
        print(f"without LeRobot: {VARIABLE} is not set", file=sys.stderr)
        return None
    observation = random_observation(torch.spec)
    peer = stack.enter_context(LeRobot(python, checkpoint, observation, THREADS, scratch))
    apart = float(np.abs(peer.actions - torch.infer(observation)).max())
    if not apart < 1e-3:
        raise ActdError(f"{checkpoint}: LeRobot's actions are {apart:g} from ours; not comparable")
    return peer


def _rounds(
    opened: list[OpenCandidate], peer: LeRobot | None, products: Mapping[str, Probe], rounds: int
) -> dict[str, list[int]]:
    """Every contestant's durations by round; LeRobot's is that of predict_action_chunk alone."""
    calls: dict[str, Callable[[], object]] = {
        each.name: partial(each.infer, random_observation(each.spec)) for each in opened
    }
    if peer is not None:
        calls[LEROBOT] = peer
    calls |= {_product(precision): probe.call for precision, probe in products.items()}
    samples = interleave(calls, rounds=rounds, warmup=2, settle_s=SETTLE_S)
    if peer is not None:
        samples[LEROBOT] = [predict for _, predict, _ in peer.spent_ns[-rounds:]]
    return samples


def _product(precision: str) -> str:
    return f"product-{precision}"


def _figures(
    samples: Samples,
    peer: LeRobot | None,
    products: Mapping[str, Probe],
    work: Work,
    engines: list[str],
) -> Metrics:
    """Every ratio: against torch, LeRobot, and what the machine could do."""
    macs = {precision: probe.macs for precision, probe in products.items()}
    product_ns = {precision: samples[_product(precision)] for precision in products}
    found: Metrics = {"network.gmac": (work.weights + work.attention) / 1e9}
    bounds = {p: bound_ns(work, product_ns, macs, p) for p in products}
    for precision, taken_ns in product_ns.items():
        rate = 2 * macs[precision] / statistics.median(taken_ns)
        found[f"machine.{precision}_gops"] = rate
        found[f"roofline.{precision}_ms"] = statistics.median(bounds[precision]) / 1e6
    for name in (n for n in samples if n not in map(_product, products)):
        found[f"{name}.speedup"] = harness.speedup(samples[TORCH], samples[name])
        found[f"{name}.vs_roofline"] = harness.speedup(samples[name], bounds["int8"])
        if peer is not None:
            found[f"{name}.vs_lerobot"] = harness.speedup(samples[LEROBOT], samples[name])
    if peer is not None:
        # of the rounds that count: the warm-up came before them
        whole = [sum(spent) / 1e6 for spent in peer.spent_ns[-len(samples[LEROBOT]) :]]
        found["lerobot.with_processors_ms"] = statistics.median(whole)
    on_cpu = [name for name in engines if name != COMPILED]
    best = min(on_cpu, key=lambda name: statistics.median(samples[name]))
    ratios = ("vs_lerobot", "vs_roofline", "speedup")
    return found | {f"best.{r}": found[f"{best}.{r}"] for r in ratios if f"{best}.{r}" in found}


def _report(samples: Samples, metrics: Metrics, options: harness.Options) -> int:
    """Hold the figures against the bars, and show what no bar is about."""
    timings = {name: percentiles(taken_ns) for name, taken_ns in samples.items()}
    metrics |= {
        f"{name}.{key}": value
        for name, taken in timings.items()
        for key, value in taken.to_dict().items()
    }
    loads = {name: s for name, s in metrics.items() if name.endswith(".load_s")}
    metrics["slowest.load_s"] = max(s for name, s in loads.items() if COMPILED not in name)
    shown = {name: taken for name, taken in timings.items() if f"{name}.speedup" in metrics}
    status = harness.report("engines", metrics, options, timings=shown)
    if not options.as_json:
        for name, value in metrics.items():
            if name.rpartition(".")[2] not in timings[TORCH].to_dict():
                print(f"{name:32} {value:10.3f}")
    return status


if __name__ == "__main__":
    typer.run(main)
