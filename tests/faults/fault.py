"""One row of the table of faults, and the outcomes that many of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from actd.mode import Mode
from tests.faults.deployment import FAULT_AFTER_MS, Setup
from tests.faults.injections import Injection
from tests.faults.outcome import SLOW_MARGIN_MS, Outcome

ARMED, HOLD, FAULT, STOP, IDLE = Mode.ARMED, Mode.HOLD, Mode.FAULT, Mode.STOP, Mode.IDLE
MOVING, TAKEOVER = Mode.MOVING, Mode.TAKEOVER
_PLAIN = Setup()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in one mode. `lasts_s`: how long it is watched, after FAULT where that must come.

    `needs` says why this machine cannot have it, "" where it can. `spends`: the daemon has to
    be started anew afterwards.
    """

    name: str
    how: str
    mode: Mode
    outcome: Outcome
    inject: Injection
    setup: Setup = _PLAIN
    lasts_s: float = 0.3
    needs: Callable[[], str] = str
    spends: bool = False

    @property
    def key(self) -> str:
        """As tests and the page call it."""
        return f"{self.name} [{self.mode.name}]"


def unmoved(mode: Mode) -> Outcome:
    """Whatever happens to a daemon that does not drive, it goes on not driving."""
    return Outcome(f"stays {mode.name}, the arm stays where it is", frozenset({mode}), steady=True)


def held(within_ms: float, says: str) -> Outcome:
    """The fault starves motion of something, and is over before that is a fault."""
    return Outcome(
        f"HOLD within {within_ms:g} ms; goes on by itself at most when all is well again",
        frozenset({ARMED, HOLD}),
        held_ms=within_ms,
        says=says,
    )


def latched(within_ms: float, says: str) -> Outcome:
    """The same for longer."""
    return Outcome(
        f"HOLD within {within_ms:g} ms, FAULT {FAULT_AFTER_MS} ms later, only an operator re-arms",
        frozenset({FAULT}),
        held_ms=within_ms,
        faulted_ms=within_ms + FAULT_AFTER_MS,
        says=says,
    )


def faulted(within_ms: float, says: str) -> Outcome:
    """Seen by a tick."""
    when = f"within {within_ms:g} ms" if within_ms else "at once"
    return Outcome(
        f"FAULT {when}, only an operator re-arms",
        frozenset({FAULT}),
        held_ms=within_ms,
        faulted_ms=within_ms,
        says=says,
    )


UNDISTURBED = Outcome("motion goes on", frozenset({ARMED}))
SAFE = Outcome("motion within limits, or HOLD and FAULT", frozenset({ARMED, HOLD, FAULT}))
DIED = replace(faulted(0, "a process of the daemon ended"), margin_ms=SLOW_MARGIN_MS)
RESUMES = Outcome(
    "silence: the arm stops gently after the ttl; goes on from rest and from where the arm is, "
    "or HOLD",
    frozenset({ARMED, HOLD}),
    silent=True,
)
TOO_LONG = Outcome(
    "silence: the arm stops gently after the ttl; then FAULT, only an operator re-arms",
    frozenset({FAULT}),
    silent=True,
    says="no command was sent for",
)
ENDS_SILENT = Outcome(
    "silence: the arm stops gently after the ttl; the daemon ends",
    frozenset(Mode),
    silent=True,
    ended=1,
)
ENDS = Outcome(
    "rests, and only then says STOP; everything ends",
    frozenset({STOP}),
    held_ms=0,
    margin_ms=SLOW_MARGIN_MS,
    ended=0,
    announced=True,
)
STOPPED = Outcome("STOP within 5 ticks of the operator's order", frozenset({STOP}))
