"""docs/reliability.md: written from a run of the faults, and read to see that it lists them all."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from actd.engine.host import cpu
from tests.faults.deployment import (
    BOUNDS,
    CAMERA_MS,
    CONTROLLER_MS,
    FAULT_AFTER_MS,
    FROZEN_MS,
    PLAN_MS,
    RATE_HZ,
    STATE_MS,
)
from tests.faults.faults import FAULTS, Fault
from tests.faults.promise import MARGIN_NS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_HEAD = ("Fault", "Injected how", "Mode", "Promise", "Observed", "Verdict")

_ABOUT = f"""# What happens when something breaks

Written by `python -m pytest -m faults --write-reliability`; do not edit. Each row is a test in
`tests/faults/` with the real daemon: real processes, sockets, shared memory and engine. An arm
that follows every command writes down every message, and the messages are judged:

- **no wild step**: each command obeys the position, velocity and acceleration limits against the
  one before it, and is finite ({BOUNDS.position:g} rad, {BOUNDS.velocity:g} rad/s,
  {BOUNDS.acceleration:g} rad/s², {RATE_HZ} Hz: {BOUNDS.step:g} rad per tick);
- **in time**: HOLD, FAULT, STOP or silence within the row's deadline, by the daemon's own clock,
  plus {MARGIN_NS / 1e9:g} s for a busy test machine;
- **to rest**: outside ARMED the commands only slow down, and stand still after
  {BOUNDS.ramp_ticks} ticks;
- **no way back**: ARMED never returns without an operator, but for a HOLD that ends by itself
  within {FAULT_AFTER_MS} ms;
- **expiry**: no command is usable for longer than its ttl of {BOUNDS.ttl_ns / 1e6:g} ms;
- **nothing left**: no process, port, file descriptor, shared memory or temporary file.

Limits of age in these runs: state {STATE_MS} ms, camera {CAMERA_MS} ms, plan {PLAN_MS} ms,
controller {CONTROLLER_MS} ms, frozen picture {FROZEN_MS} ms, gap until FAULT {FAULT_AFTER_MS} ms.
"Observed" gives times after the fault was in place and the largest change of a command from one
tick to the next; a verdict of "kept" means that every promise above was.
"""


class Verdict(NamedTuple):
    """What came of one fault. `broken` is empty where all promises were kept."""

    observed: str
    broken: str


def write(verdicts: Mapping[str, Verdict]) -> None:
    """Write the page; `verdicts` by `Fault.key`, for every fault."""
    rows = [_row(fault, verdicts[fault.key]) for fault in FAULTS]
    kept = sum(not verdicts[fault.key].broken for fault in FAULTS)
    PAGE.write_text(
        f"{_ABOUT}\n{_where()} {kept} of {len(FAULTS)} faults kept their promises.\n\n"
        + "\n".join([_line(_HEAD), _line(["---"] * len(_HEAD)), *rows])
        + "\n",
        encoding="utf-8",
    )


def listed() -> list[str]:
    """The keys of the faults on the page, in its order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [f"{row[0]} [{row[2]}]" for row in cells[2:] if len(row) == len(_HEAD)]


def _row(fault: Fault, verdict: Verdict) -> str:
    return _line(
        (
            fault.name,
            fault.how,
            fault.mode.name,
            fault.outcome.promise,
            verdict.observed,
            f"**broken**: {verdict.broken[:300]}" if verdict.broken else "kept",
        )
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _where() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PAGE.parent,
    )
    return (
        f"Run of {datetime.now(timezone.utc):%Y-%m-%d} at {done.stdout.strip() or 'no commit'} on "
        f"{os.cpu_count()} cores of {cpu()[0]}, Linux {platform.release()}:"
    )
