"""The tick bench's figures, from what a loop did in its turns. Pure.

A tick is late at three moments, each counted from the slot that it waited for: when its process
woke (what cyclictest counts), when it had handed the action to its socket, and when the arm's
program had the action in its hands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int]
"""One turn: from and to, on the monotonic clock in ns."""

MOMENTS = ("wake", "sent", "arrival")
# Of turns, for an interval.
_DRAWS = 10_000

_QUANTILES = {"p50_us": 50.0, "p99_us": 99.0, "p999_us": 99.9, "max_us": 100.0}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one loop did in one turn.

    `ticks` has the fields of `bench.wire.TICK` at least, `arrivals` and `chunks` those of ARRIVAL
    and CHUNK; each is empty where the loop has none. `cpu_s`: what the process that ticks, or
    infers where none does, took of a processor.
    """

    window: Window
    ticks: NDArray[Any]
    arrivals: NDArray[Any]
    chunks: NDArray[Any]
    cpu_s: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.window[1] - self.window[0]) / 1e9


def late_us(turn: Turn) -> dict[str, NDArray[np.float64]]:
    """The lateness of every tick, (n,), and of those actions that reached the arm, (<= n,).

    An action that a newer one overtook before the arm looked does not arrive.
    """
    ticks, arrivals = turn.ticks, turn.arrivals
    slot_ns = ticks["wake_ns"] - ticks["late_ns"]
    _, at, of = np.intersect1d(ticks["seq"], arrivals["seq"], return_indices=True)
    late_ns = {
        "wake": ticks["late_ns"],
        "sent": ticks["sent_ns"] - slot_ns,
        "arrival": arrivals["arrival_ns"][of] - slot_ns[at],
    }
    return {moment: late / 1e3 for moment, late in late_ns.items()}


def row(loop: str, hz: float, turns: Sequence[Turn]) -> dict[str, Any]:
    """One loop at one rate. `missed` are slots that no tick came in, `lost` actions that the arm
    never had in its hands, `cpu` the share of one processor that the loop's process took.
    """
    late = [late_us(turn) for turn in turns]
    pooled = {moment: np.concatenate([each[moment] for each in late]) for moment in MOMENTS}
    missed = [turn.ticks["missed"] for turn in turns if len(turn.ticks)]
    n = len(pooled["wake"])
    return {
        "loop": loop,
        "hz": int(hz) if hz == int(hz) else hz,
        "n": n,
        "missed": sum(int(counts[-1] - counts[0]) for counts in missed),
        "lost": n - len(pooled["arrival"]),
        "cpu": round(cpu(turns), 4),
        **{moment: percentiles(values) for moment, values in pooled.items()},
    }


def percentiles(values_us: NDArray[np.float64]) -> dict[str, float]:
    """Values that happened, not interpolated; nothing where there are none."""
    if not len(values_us):
        return {}
    found = np.percentile(values_us, list(_QUANTILES.values()), method="higher")
    return {name: round(float(value), 1) for name, value in zip(_QUANTILES, found, strict=True)}


def cpu(turns: Sequence[Turn]) -> float:
    """The share of one processor."""
    return sum(turn.cpu_s for turn in turns) / sum(turn.seconds for turn in turns)


def chunk_row(loop: str, hz: float, turns: Sequence[Turn]) -> dict[str, Any]:
    """One loop's inference at one rate of control."""
    infer_ms = np.concatenate([turn.chunks["infer_ns"] for turn in turns]) / 1e6
    found: dict[str, Any] = {"loop": loop, "hz": int(hz) if hz == int(hz) else hz}
    if len(infer_ms):
        p50, p90 = np.percentile(infer_ms, (50, 90))
        seconds = sum(turn.seconds for turn in turns)
        found |= {
            "infer_p50_ms": round(float(p50), 2),
            "infer_p90_ms": round(float(p90), 2),
            "chunks_per_s": round(len(infer_ms) / seconds, 2),
        }
    return found | {"n": len(infer_ms)}


def slower(turns: Sequence[Turn], reference: Sequence[Turn]) -> tuple[float, float, float]:
    """By what share a loop's chunk takes longer: the median over turns of the ratio of medians,
    and its 95 % interval by drawing turns again.

    Within a turn, so that a slow moment of the computer counts for both. NaN without any.
    """
    ratios = np.array(
        [
            np.median(turn.chunks["infer_ns"]) / np.median(other.chunks["infer_ns"])
            for turn, other in zip(turns, reference, strict=True)
            if len(turn.chunks) and len(other.chunks)
        ]
    )
    if not ratios.size:
        return (float("nan"),) * 3
    drawn = np.random.default_rng(0).choice(ratios, (_DRAWS, ratios.size))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(np.median(ratios)) - 1, float(low) - 1, float(high) - 1


def inside(records: NDArray[Any], window: Window, field: str = "wake_ns") -> NDArray[Any]:
    """The records whose time lies in this window."""
    t_ns = records[field]
    return records[(t_ns >= window[0]) & (t_ns < window[1])]


def frame_over_ms(
    chunks: NDArray[Any], ticks: NDArray[Any], windows: Sequence[Window], period_ns: float
) -> NDArray[np.float64]:
    """Per chunk, in ms: from its frame's capture to the first tick that has it, less the inference
    time and one period. (n,) for the n chunks that were begun in a window.
    """
    started_ns = chunks["started_ns"]
    begun = np.zeros(len(chunks), bool)
    for first_ns, last_ns in windows:
        begun |= (started_ns >= first_ns) & (started_ns + chunks["infer_ns"] < last_ns)
    first = np.searchsorted(ticks["newest_chunk"], chunks["number"])
    known = begun & (first < len(ticks))
    used_ns = ticks["wake_ns"][first[known]]
    took_ns = used_ns - chunks["t_observation_ns"][known] - chunks["infer_ns"][known]
    over: NDArray[np.float64] = (took_ns - period_ns) / 1e6
    return over


def later_us(turns: Sequence[Turn], reference: Sequence[Turn]) -> float:
    """How much later a loop's p99.9 is sent: the median over turns of the difference.

    Within a turn, and not of all ticks together: a computer that stands still for a moment hits
    whoever has its turn, and with a few ticks in a thousand that moment would be all there is.
    """
    later = [
        percentiles(late_us(turn)["sent"])["p999_us"]
        - percentiles(late_us(other)["sent"])["p999_us"]
        for turn, other in zip(turns, reference, strict=True)
        if len(turn.ticks) and len(other.ticks)
    ]
    return float(np.median(later)) if later else float("nan")


def spread_us(turns: Sequence[Turn]) -> float:
    """How much a loop's p99.9 of what it sends differs from one of its turns to another: the
    median over pairs of turns. NaN with fewer than two.
    """
    tails = [percentiles(late_us(turn)["sent"])["p999_us"] for turn in turns if len(turn.ticks)]
    pairs = [abs(one - other) for one, other in combinations(tails, 2)]
    return float(np.median(pairs)) if pairs else float("nan")


def figures(
    hz: float, turns: Mapping[str, Sequence[Turn]], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """What bars may be about, of actd at one rate; `rows` by loop.

    `sent_p999_over_us` and `sent_p50_over_us`: how much later than the bare loop's its actions
    are sent. `watched_over_us`: how much later its p99.9 is while it is looked at; the bare loop's
    own differs by `bare_spread_us` between turns. `ratio`: LeRobot's p99.9 over its own.
    `infer_over`, `infer_over_bare`: how much longer its chunk takes than the engine's alone, and
    beside the bare loop; `_low` to `_high` is their 95 % interval.
    """
    own = rows["actd"]
    ticks = np.concatenate([turn.ticks for turn in turns["actd"]])
    work_us = (ticks["sent_ns"] - ticks["wake_ns"]) / 1e3
    found = {f"{moment}_p999_us": own[moment]["p999_us"] for moment in MOMENTS if own[moment]}
    found |= {
        "missed": own["missed"],
        "lost": own["lost"],
        "cpu": own["cpu"],
        "work_p50_us": float(np.percentile(work_us, 50)),
        "work_p99_us": float(np.percentile(work_us, 99)),
    }
    if "bare" in rows:
        found["sent_p999_over_us"] = later_us(turns["actd"], turns["bare"])
        found["sent_p50_over_us"] = own["sent"]["p50_us"] - rows["bare"]["sent"]["p50_us"]
    if "lerobot-sleep" in rows:
        found["ratio"] = rows["lerobot-sleep"]["sent"]["p999_us"] / own["sent"]["p999_us"]
    if "watched" in rows:
        found |= {
            "watched_over_us": later_us(turns["watched"], turns["actd"]),
            "watched_missed": rows["watched"]["missed"],
        }
        if "bare" in rows:
            found["bare_spread_us"] = spread_us(turns["bare"])
    for name, loop in (("infer_over", "engine"), ("infer_over_bare", "bare")):
        if any(len(turn.chunks) for turn in turns.get(loop, ())):
            share, low, high = slower(turns["actd"], turns[loop])
            found |= {name: share, f"{name}_low": low, f"{name}_high": high}
    return {f"actd.{hz:g}.{name}": float(value) for name, value in found.items()}
