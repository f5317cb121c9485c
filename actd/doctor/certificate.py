"""What a certificate says: how late a deployment's ticks were, and whose fault that was. Pure.

A tick is late when its command was handed to the socket more than half a period after its slot.
It is the computer's where a loop that does nothing, at the same priority and on the same core,
stood still at that time too, or where the hypervisor took the processor away; everything else
counts against actd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.mode import Mode
from actd.timing import Percentiles, percentiles

PHASES = ("clean", "contended")
# A stall of the computer explains a late tick when it lasted for most of it.
_SHARE = 0.5
_MOST_LATE = 100


@dataclass(frozen=True, slots=True)
class Steal:
    """Of the time from `start_ns` to `end_ns`, the hypervisor took `taken_ns` of a processor."""

    start_ns: int
    end_ns: int
    taken_ns: int


@dataclass(frozen=True, slots=True)
class Bare:
    """The loop that does nothing: per wake-up, (n,), when it was due and how late it came, ns."""

    due_ns: NDArray[np.int64]
    late_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LateTick:
    """One that left more than half a period late. `at_s`: since the certificate began."""

    at_s: float
    wake_ms: float
    sent_ms: float
    own: bool


@dataclass(frozen=True, slots=True)
class Phase:
    """One condition. `missed` are slots; of the `late` ticks `own` are not the computer's, and
    `late_ticks` are the first of them.

    `wake` is from the slot to the process, `sent` from the slot to the socket, `bare` the loop that
    does nothing; `infer` is a chunk's time, None where there was none. `armed` is the share of
    ticks that followed the policy.
    """

    name: str
    seconds: float
    ticks: int
    missed: int
    late: int
    own: int
    wake: Percentiles
    sent: Percentiles
    bare: Percentiles
    infer: Percentiles | None
    stolen_ms: float
    armed: float
    late_ticks: tuple[LateTick, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A deployment on one computer: `facts` say which, `granted` what its kernel allowed."""

    facts: Mapping[str, Any]
    granted: Mapping[str, str]
    phases: tuple[Phase, ...]

    @property
    def passed(self) -> bool:
        """No tick was late by actd's own doing, and it was armed for nearly all of the time."""
        return all(phase.own == 0 and phase.armed > 0.9 for phase in self.phases)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"passed": self.passed, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that happened: `ticks` and `chunks` as in a flight."""

    ticks: NDArray[Any]
    chunks: NDArray[Any]
    bare: Bare
    steals: Sequence[Steal]
    period_ns: int


def judge(name: str, windows: Sequence[tuple[int, int]], evidence: Evidence) -> Phase:
    """One phase, from what happened within its windows (from, to; in ns).

    Raises ValueError where nothing did.
    """
    bare, steals = evidence.bare, evidence.steals
    turns = [evidence.ticks[within(evidence.ticks["wake_ns"], [window])] for window in windows]
    ticks = np.concatenate(turns)
    infer_ns = evidence.chunks["infer_ns"][within(evidence.chunks["started_ns"], windows)]
    slot_ns = ticks["wake_ns"] - ticks["late_ns"]
    sent_ns = ticks["sent_ns"] - slot_ns
    late = sent_ns * 2 > evidence.period_ns
    start_ns = int(evidence.ticks["wake_ns"][0])
    late_ticks = [
        LateTick(
            (int(slot) - start_ns) / 1e9,
            (int(wake) - int(slot)) / 1e6,
            (int(sent) - int(slot)) / 1e6,
            not is_excused(int(slot), int(sent), bare, steals),
        )
        for slot, wake, sent in zip(
            slot_ns[late], ticks["wake_ns"][late], ticks["sent_ns"][late], strict=True
        )
    ]
    there = within(bare.due_ns, windows)
    stolen_ns = sum(
        steal.taken_ns
        for steal in steals
        if any(start <= steal.start_ns and steal.end_ns <= end for start, end in windows)
    )
    return Phase(
        name=name,
        seconds=sum(end - start for start, end in windows) / 1e9,
        ticks=len(ticks),
        missed=sum(int(turn["missed"][-1] - turn["missed"][0]) for turn in turns if len(turn)),
        late=len(late_ticks),
        own=sum(tick.own for tick in late_ticks),
        wake=percentiles(ticks["late_ns"]),
        sent=percentiles(sent_ns),
        bare=percentiles(bare.late_ns[there]),
        infer=percentiles(infer_ns) if len(infer_ns) else None,
        stolen_ms=stolen_ns / 1e6,
        armed=float((ticks["mode"] == Mode.ARMED).mean()),
        late_ticks=tuple(late_ticks[:_MOST_LATE]),
    )


def is_excused(begin_ns: int, end_ns: int, bare: Bare, steals: Sequence[Steal]) -> bool:
    """Whether the computer stood still for most of the time from `begin_ns` to `end_ns`."""
    needed_ns = _SHARE * (end_ns - begin_ns)
    overlap = np.minimum(end_ns, bare.due_ns + bare.late_ns) - np.maximum(begin_ns, bare.due_ns)
    if overlap.size and overlap.max() >= needed_ns:
        return True
    taken_ns = sum(
        steal.taken_ns for steal in steals if steal.start_ns < end_ns and begin_ns < steal.end_ns
    )
    return taken_ns >= needed_ns


def within(t_ns: NDArray[np.int64], windows: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which of these moments lie in a window."""
    inside = np.zeros(len(t_ns), np.bool_)
    for start_ns, end_ns in windows:
        inside |= (t_ns >= start_ns) & (t_ns < end_ns)
    return inside
