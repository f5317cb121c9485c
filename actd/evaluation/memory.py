"""What one engine costs in a process of its own: time to the first chunk, and memory.

`python -m actd.evaluation.memory CANDIDATE` opens the candidate that the JSON object describes,
infers once and prints a JSON object; `measure` runs that and reads it. Raises EngineError with the
last line of a process that failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import actd
from actd import crash
from actd.engine.candidate import Candidate
from actd.engine.observations import random_observation
from actd.errors import EngineError
from actd.evaluation.speed import Footprint
from actd.host import gpu_used_mb

_TIMEOUT_S = 600
_ON_GPU = ("cuda", "ort-trt", "trt")
_STATM = Path("/proc/self/statm")


def measure(candidate: Candidate) -> Footprint:
    """The footprint of a candidate in a fresh process."""
    command = [sys.executable, "-m", "actd.evaluation.memory", json.dumps(asdict(candidate))]
    root = str(Path(actd.__file__).parents[1])
    try:
        process = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
            env=os.environ | {"PYTHONPATH": root},
        )
        return Footprint(**json.loads(process.stdout.splitlines()[-1]))
    except subprocess.SubprocessError as error:
        output = getattr(error, "stderr", None) or str(error)
        reason = output.strip().splitlines()[-1]
    except (OSError, ValueError, IndexError, TypeError) as error:
        reason = str(error)
    raise EngineError(f"{candidate.name}: load time and memory could not be measured ({reason})")


def first_chunk(candidate: Candidate) -> Footprint:
    """Open a candidate in this process and infer once."""
    on_gpu = candidate.runtime in _ON_GPU
    before_mb, gpu_before_mb = _resident_mb(), gpu_used_mb() if on_gpu else None
    started_ns = time.perf_counter_ns()
    runner = candidate.open(spin=True)
    opened_ns = time.perf_counter_ns()
    observation = random_observation(runner.spec)
    resumed_ns = time.perf_counter_ns()
    runner.infer(observation)
    spent_ns = time.perf_counter_ns() - resumed_ns + opened_ns - started_ns
    gpu_mb = gpu_used_mb() if on_gpu else None
    footprint = Footprint(
        load_ms=spent_ns / 1e6,
        memory_mb=_resident_mb() - before_mb,
        gpu_memory_mb=None if gpu_mb is None or gpu_before_mb is None else gpu_mb - gpu_before_mb,
    )
    runner.close()
    return footprint


def _resident_mb() -> float:
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    crash.install()
    _footprint = first_chunk(Candidate(**json.loads(sys.argv[1])))
    sys.stdout.write(f"{json.dumps(asdict(_footprint))}\n")
