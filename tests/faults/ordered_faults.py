"""What befalls an arm that an operator's order drives, to a pose or behind a leader, alike."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

from actd.mode import Mode
from tests.faults import injections as inject
from tests.faults import mishaps, orders
from tests.faults.deployment import CONTROLLER_MS, FOLLOW_MS, Setup
from tests.faults.fault import DIED, ENDS, HOLD, STOPPED, Fault, faulted
from tests.faults.injections import Injection
from tests.faults.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Ordered:
    """The rows of one mode. `again`: what only another order does, such as `moves it again`."""

    mode: Mode
    again: str
    setup: Setup

    def fault(
        self, name: str, how: str, outcome: Outcome, injection: Injection, lasts_s: float = 0.3
    ) -> Fault:
        return Fault(name, how, self.mode, outcome, injection, setup=self.setup, lasts_s=lasts_s)

    def held(self, within_ms: float, says: str) -> Outcome:
        """Short or long: what was interrupted is not gone on with."""
        return Outcome(
            f"HOLD within {within_ms:g} ms; only another order {self.again}",
            frozenset({HOLD}),
            held_ms=within_ms,
            says=says,
        )

    def of_the_arm(self) -> Iterator[Fault]:
        """First."""
        lost = replace(
            faulted(1500, "does not follow"),
            promise=f"FAULT {FOLLOW_MS} ms after the arm is too far from its command; it does not "
            f"jump back; only an operator {self.again}",
        )
        yield self.fault("collision", "a wall stops one joint where it is", lost, mishaps.collide)
        yield self.fault(
            "pulled away by hand", "carried 0.8 rad", lost, mishaps.carry_slowly, lasts_s=0.5
        )
        yield self.fault("stop", "an operator's order", STOPPED, orders.stop_now)

    def of_its_controller(self) -> Iterator[Fault]:
        yield self.fault(
            "nobody acts on the commands",
            "state without acknowledgement, a mere listener on the actions",
            self.held(CONTROLLER_MS, "acknowledged"),
            mishaps.says(mishaps.not_acting),
            lasts_s=1.0,
        )
        two = replace(faulted(0, "two programs send"), promise="FAULT at once")
        yield self.fault("second sender of the state", "another place, 100 Hz", two, mishaps.rival)

    def of_the_daemon(self) -> Iterator[Fault]:
        """Last: one of them ends it."""
        silent = Outcome(
            f"silence: the arm stops gently after the ttl; then HOLD; only another order "
            f"{self.again}",
            frozenset({HOLD}),
            silent=True,
            says="no command was sent for",
        )
        stopped = inject.send(signal.SIGSTOP, "tick")
        yield self.fault(
            "SIGSTOP tick for 0.5 s", "SIGSTOP, then SIGCONT", silent, stopped, lasts_s=0.5
        )
        killed = inject.send(signal.SIGKILL, "inference")
        yield self.fault("kill -9 inference", "kill -9", DIED, killed)
        how = "SIGTERM to the process group: a service manager that ends everything"
        yield self.fault("SIGTERM to all", how, ENDS, inject.to_group(signal.SIGTERM))
