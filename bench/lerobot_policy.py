"""One period of LeRobot's own loop, with an engine as its policy and with LeRobot's eager ACT.

`ACTD_LEROBOT_PYTHON=... python -m bench.lerobot_policy --rounds 25 --engine ort-int8`. Each is a
process of LeRobot's, on two threads, with what `lerobot-record` calls in a period in which the
policy infers: LeRobot's preparation of the observation, its processors and `select_action`. They
take turns within each round. The policy is an untrained ACT of the default size (two cameras of
480x640) unless --checkpoint says otherwise.

Engines are kept in the user's cache; the first run builds them, which takes minutes.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from actd.engine.manifest import read_manifest
from actd.engine.observations import read_npz, split
from actd.engine.reference import REFERENCE
from actd.errors import ActdError, UsageError
from actd.evaluation.engine_cache import CheckpointSource, build_or_reuse, default_source
from bench import harness
from bench.lerobot_peer import VARIABLE, LeRobot, interpreter

THREADS = 2
LEROBOT = "lerobot"
PLUGINS = ("lerobot_policy_actd",)


def main(
    rounds: harness.Rounds = 25,
    engine: Annotated[
        list[str] | None, typer.Option(help="Recipes of engines; default: ort-fp32, ort-int8.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Of this policy, not an untrained.")
    ] = None,
    as_json: harness.AsJson = False,
    out: harness.Out = None,
) -> None:
    """Time a period of each, in turns."""
    options = harness.Options(rounds, as_json, out)
    recipes = engine or ["ort-fp32", "ort-int8"]
    harness.exit_with(lambda: bench(options, recipes, checkpoint))


def bench(options: harness.Options, recipes: list[str], checkpoint: str | None) -> int:
    """The whole run; returns the exit status."""
    python = interpreter()
    if python is None:
        raise UsageError(f"{VARIABLE}: not set; name an interpreter with LeRobot")
    tell = partial(print, file=sys.stderr)
    source = default_source(tell) if checkpoint is None else CheckpointSource(checkpoint)
    paths = {LEROBOT: Path(source.path)}
    for name, folder in build_or_reuse({one: one for one in recipes}, source, tell).items():
        if isinstance(folder, ActdError):
            raise folder
        paths[name] = folder
    # One that the engines were judged on: the plugin compares its first answer with LeRobot's.
    spec, file = read_manifest(paths[recipes[0]]).spec, paths[recipes[0]] / REFERENCE
    observation = split(read_npz(file, [f.key for f in spec.inputs]), spec, file)[0]
    with ExitStack() as stack:
        peers: dict[str, LeRobot] = {}
        for name, path in paths.items():
            tell(f"loading {name} as LeRobot's policy")
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-lerobot-"))
            peer = LeRobot(
                python,
                path,
                observation,
                THREADS,
                Path(folder),
                plugins=PLUGINS,
                method="select_action",
            )
            peers[name] = stack.enter_context(peer)
        apart = {
            f"{name}.apart": float(np.abs(peer.actions - peers[LEROBOT].actions).max())
            for name, peer in peers.items()
        }
        tell(f"timing {options.rounds} rounds")
        return harness.run("lerobot-policy", peers, options, reference=LEROBOT, metrics=apart)


if __name__ == "__main__":
    typer.run(main)
