"""docs/reliability.md: written from a run of the faults, and read to see that it lists them all."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from actd.host import cpu
from tests.faults.body import Servo
from tests.faults.deployment import (
    BOUNDS,
    CAMERA_MS,
    CHUNK_MS,
    CONTROLLER_MS,
    FAULT_AFTER_MS,
    FOLLOW_MS,
    FROZEN_MS,
    RATE_HZ,
    STATE_MS,
)
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.outcome import MARGIN_MS, SLOW_MARGIN_MS, Seen

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_HEAD = (
    "Fault",
    "Injected how",
    "Mode",
    "Promise",
    "Observed",
    "Reaction, ms",
    "Arm's peak, rad/s",
    "Arm to command, rad",
    "Verdict",
)

_ABOUT = f"""# What happens when something breaks

Written by `python -m pytest -m faults --write-reliability`; do not edit. Each row is a test in
`tests/faults/` with the real daemon: real processes, sockets, shared memory and engine. The arm is
simulated in real time and driven by the shipped client: every joint lags behind its command
(gain {Servo().gain:g}/s, dead time {Servo().dead_s * 1e3:g} ms) with a top speed of its own of
{Servo().velocity:g} rad/s, so a command that jumps makes it jump. It can be blocked, carried, left
without torque, and lie about itself. Commands and arm are judged by the daemon's own time stamps:

- **within limits, over time**: commands obey the limits of position ({BOUNDS.position:g} rad),
  speed ({BOUNDS.velocity:g} rad/s) and change of speed ({BOUNDS.acceleration:g} rad/s² at
  {RATE_HZ} Hz); no two come within half a period; after a silence of more than their ttl they begin
  at rest;
- **where the arm is**: commands begin where the arm is measured, and none stays further than
  {BOUNDS.follow_distance:g} rad from it for longer than {FOLLOW_MS} ms and a ramp to rest
  (together {BOUNDS.runaway_ns / 1e6:.0f} ms);
- **no jump**: servos that follow never move the arm faster than {BOUNDS.arm_speed:.3g} rad/s, and
  when torque returns, a hand lets go or a controller begins, it moves by {BOUNDS.follow_distance:g}
  rad at most;
- **inside the chunk**: no command lies beyond all that the policy has planned, where it began, and
  the pose that the arm is moved to; in TAKEOVER none beyond where it began and where the leader
  truly was since, whatever is told of it;
- **to rest**: outside ARMED, MOVING and TAKEOVER the commands only slow down, and stand still after
  {BOUNDS.ramp_ns / 1e6:.0f} ms; the `rest` in every message can be reached within the limits; STOP
  is the last word of a daemon that ends, and said at rest;
- **no way back**: ARMED returns only by an order between its giving and its answer, or out of a
  gap of at most {FAULT_AFTER_MS} ms with the same controller, and the arm where the command is;
  MOVING and TAKEOVER begin only by an order;
- **expiry**: no command is obeyed when its ttl of {BOUNDS.ttl_ns / 1e6:g} ms is over, but for the
  client's gentle stop, and then the arm rests;
- **nothing left**: no process, port, file descriptor, shared memory or temporary file.

Limits of age in these runs: state {STATE_MS} ms, camera {CAMERA_MS} ms, chunk {CHUNK_MS} ms,
acknowledgement {CONTROLLER_MS} ms, frozen image {FROZEN_MS} ms, gap until FAULT
{FAULT_AFTER_MS} ms. A promise in ms has a margin of {MARGIN_MS} ms, or {SLOW_MARGIN_MS / 1e3:g} s
where the supervisor must first notice that a process died. "Reaction" is from the fault to the
first message that does not drive the arm, or to the expiry of the last one. The arm's peak speed is
that of its servos, not of a hand or of falling; its distance is the largest to a command, which a
fault that moves the arm makes itself.
"""


class Verdict(NamedTuple):
    """What came of one fault: what was seen, what the injection tells, and what was broken, ""
    where all promises were kept.
    """

    seen: Seen
    notes: str
    broken: str

    @property
    def observed(self) -> str:
        """In words."""
        return "; ".join(filter(None, (self.seen.words, self.notes)))


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
    seen = verdict.seen
    return _line(
        (
            fault.name,
            fault.how,
            fault.mode.name,
            fault.outcome.promise,
            verdict.observed,
            "" if seen.reaction_ms is None else f"{seen.reaction_ms:.0f}",
            f"{seen.speed:.2f}",
            f"{seen.distance:.3f}",
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
