"""The arm of every loop in the tick bench: `python -m bench.arm JOB`, JOB as JSON.

A controller as one writes it with `actd.client`: it waits in `receive`, notes when it has the
action in its hands, is at once where it was told to be, and says so. `job["arm"]`: ordinary,
or realtime, which asks for what `actd.client.realtime` asks for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from actd.client import Robot, realtime
from actd.link.sockets import Ports
from actd.runtime.clock import now_ns
from bench.wire import ARRIVAL, ROBOT, ring

_PRIORITY = 50
_TIMEOUT_S = 0.1


def run(job: Mapping[str, Any]) -> None:
    """Follow until killed. Without inference it says nothing, so that nothing is inferred."""
    arrivals = ring(job, "arrivals", ARRIVAL)
    priority = _PRIORITY if job["arm"] == "realtime" else None
    if priority is not None:
        realtime(priority)
    positions = dict.fromkeys(job["joints"], 0.0)
    seq = 0
    with Robot(ROBOT, ports=Ports(*job["ports"]), realtime_priority=priority) as robot:
        while True:
            action = robot.receive(_TIMEOUT_S)
            arrival_ns = now_ns()
            if action is not None and action.seq != seq:
                seq = action.seq
                arrivals.write_flat(seq, arrival_ns)
                if action.moves:
                    positions = action.action
            if job["infer"]:
                robot.send_state(positions)


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
