"""An arm that is wherever it was last told to be, armed; then something is done to the daemon.

    python arm.py ROBOT STATE_PORT WHEN UNTIL COMMAND...

WHEN is `moving`, `resting` (armed, then held) or `arming` (ARM was sent that moment). COMMAND is
run then. The arm listens until it hears UNTIL (a mode), for 60 s at most, and prints as JSON the
modes that it heard since the command, without repetitions, and how long that took. NONE is silence,
EXPIRED a message that is too old, by which the client leads the arm to rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import groupby

from actd.client import Operator, Robot
from actd.errors import LinkError
from actd.link.sockets import Ports
from actd.mode import Mode

LIMIT_S = 60.0
# Enough to see that a mode stays.
STEADY = 100


def main(name: str, state_port: int, when: str, until: str, command: list[str]) -> None:
    ports = Ports(*range(state_port, state_port + 4))
    pose = {f"j{index}": 0.0 for index in range(14)}
    seen: list[str] = []
    began_s: float | None = None
    running: subprocess.Popen[bytes] | None = None
    action = None
    with Robot(name, ports=ports) as robot, Operator(robot=name, ports=ports) as operator:
        end_s = time.monotonic() + LIMIT_S
        orders = Orders(operator)
        while time.monotonic() < end_s:
            robot.send_state(pose)
            action = robot.receive(0.02)
            if action is None or action.expired:
                seen.append("NONE" if action is None else "EXPIRED")
            else:
                if action.moves:
                    pose = dict(action.action)
                seen.append(action.mode.name)
            if began_s is not None:
                if is_over(seen, until):
                    break
            elif is_time(when, seen, action, orders):
                seen, began_s = [], time.monotonic()
                running = subprocess.Popen(command)
        took_s = None if began_s is None else time.monotonic() - began_s
        status = None if running is None else running.wait(LIMIT_S)
    rest_ms = None if action is None else action.rest_ms
    modes = [mode for mode, _ in groupby(seen)]
    told = {"seen": modes, "took_s": took_s, "rest_ms": rest_ms, "status": status}
    sys.stdout.write(json.dumps(told))


class Orders:
    """Gives orders without making the arm wait for the answers."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._thread: threading.Thread | None = None

    def give(self, name: str) -> bool:
        """Send an order unless the last one is not answered yet."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self._thread = threading.Thread(target=self._send, args=(name,), daemon=True)
        self._thread.start()
        return True

    def _send(self, name: str) -> None:
        with suppress(LinkError):  # refused until everything is fresh; it is given again
            getattr(self._operator, name)()


def is_time(when: str, seen: list[str], action: object, orders: Orders) -> bool:
    mode = seen[-1]
    rest_ms = getattr(action, "rest_ms", 0)
    if when == "arming":
        return len(seen) > STEADY and mode == Mode.IDLE.name and orders.give("arm")
    if mode not in (Mode.ARMED.name, Mode.HOLD.name):
        orders.give("arm")
        return False
    if when == "moving":
        return seen.count(Mode.ARMED.name) > 60 and rest_ms > 20
    if mode == Mode.ARMED.name and seen.count(mode) > 60:
        orders.give("hold")
    return seen[-20:] == [Mode.HOLD.name] * 20 and rest_ms == 0


def is_over(seen: list[str], until: str) -> bool:
    return seen[-1:] == [until] and (until != Mode.ARMED.name or len(seen) > STEADY)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
