"""The whole demo with inference running: is every control tick on time?

`python -m bench.demo [--seconds 60] [--unprivileged]`. Runs `actd demo --json` and holds its
figures against the bars; the bar for lateness depends on whether the tick got SCHED_FIFO.
`--unprivileged` drops, as root, what an ordinary user has not: SCHED_FIFO and locked memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bench import harness, stage


def bench(
    seconds: Annotated[float, typer.Option(min=1, help="How long it drives.")] = 60,
    realtime: Annotated[str, typer.Option(help="off, prefer or require.")] = "prefer",
    unprivileged: Annotated[bool, typer.Option(help="Without CAP_SYS_NICE, CAP_IPC_LOCK.")] = False,
    as_json: harness.AsJson = False,
    out: harness.Out = None,
) -> None:
    """Run the demo and hold its cadence against the bars."""
    result = _demo(seconds, realtime, stage.DROP if unprivileged else ())
    name = "demo-fifo" if result["realtime"].get("sched_fifo") == "ok" else "demo"
    options = harness.Options(rounds=1, as_json=as_json, out=out)
    raise typer.Exit(harness.report(name, _metrics(result), options))


def _demo(seconds: float, realtime: str, prefix: Sequence[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-demo-") as folder:
        command = [*prefix, sys.executable, "-m", "actd", "demo", "--headless", "--json"]
        command += ["--seconds", str(seconds), "--realtime", realtime, "--out", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the demo ended with exit code {done.returncode}; its last line is above")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _metrics(result: dict[str, Any]) -> dict[str, float]:
    figures = {name: result[name] for name in ("ticks", "missed", "underruns", "chunks", "rate_hz")}
    for group in ("lateness_us", "inference_ms", "chunk_age_ms"):
        figures |= {f"{group}.{name}": value for name, value in result[group].items()}
    for name, camera in result["cameras"].items():
        figures |= {f"{name}.fps": camera["fps"], f"{name}.drops": camera["drops"]}
    figures |= {name: result[name] for name in ("successes", "attempts", "faults")}
    figures["success_share"] = result["successes"] / max(result["attempts"], 1)
    figures |= {"first_armed_s": result["first_armed_s"], "moved_rad": result["moved_rad"]}
    figures["robot.cpu_share"] = result["robot"]["cpu_share"]
    return {name: float(value) for name, value in figures.items()}


if __name__ == "__main__":
    typer.run(bench)
