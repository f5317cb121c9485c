"""The last ten minutes, second by second, and what happened in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from actd.mode import Mode

SECONDS = 600
_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Second:
    """Some ticks, one after the other. `late_us`: of `latest_tick`; `chunk_age_ms`: the oldest
    chunk, None without one; `underruns`: ticks that had nothing to follow.
    """

    number: int
    unix_s: float
    first_tick: int
    last_tick: int
    latest_tick: int
    mode: str
    late_us: float
    missed: int
    underruns: int
    chunk_age_ms: float | None


@dataclass(frozen=True, slots=True)
class ModeChange:
    """At `tick` the mode became `mode`, for this reason ("" where an operator's order is none)."""

    number: int
    unix_s: float
    tick: int
    mode: str
    reason: str


class History:
    """Fed with tick records (`actd.runtime.channels.tick_dtype`) about once a second."""

    def __init__(self, underrun_flag: int) -> None:
        self._underrun_flag = underrun_flag
        self._seconds: deque[Second] = deque(maxlen=SECONDS)
        self._changes: deque[ModeChange] = deque(maxlen=_EVENTS)
        self._number = 0
        self._mode: Mode | None = None
        self._missed: int | None = None

    def add(
        self, ticks: Sequence[tuple[int, Any]], reasons: Mapping[int, str], offset_s: float
    ) -> None:
        """Take in numbered records. `reasons`: of changes of the mode, by `sent_ns` of their tick;
        `offset_s`: from the records' clock to Unix time.
        """
        if not ticks:
            return
        for number, record in ticks:
            mode = Mode(int(record["mode"]))
            if mode is not self._mode:
                self._mode = mode
                sent_ns = int(record["sent_ns"])
                self._number += 1
                self._changes.append(
                    ModeChange(
                        self._number,
                        offset_s + sent_ns / 1e9,
                        number,
                        mode.name,
                        reasons.get(sent_ns, ""),
                    )
                )
        records = [record for _, record in ticks]
        last = records[-1]
        latest = max(ticks, key=lambda tick: int(tick[1]["late_ns"]))
        missed = int(last["missed"])
        ages = [int(record["chunk_age_ns"]) for record in records]
        self._number += 1
        self._seconds.append(
            Second(
                number=self._number,
                unix_s=offset_s + int(last["sent_ns"]) / 1e9,
                first_tick=ticks[0][0],
                last_tick=ticks[-1][0],
                latest_tick=latest[0],
                mode=Mode(int(last["mode"])).name,
                late_us=int(latest[1]["late_ns"]) / 1e3,
                missed=0 if self._missed is None else missed - self._missed,
                underruns=sum(bool(int(r["flags"]) & self._underrun_flag) for r in records),
                chunk_age_ms=max(ages) / 1e6 if max(ages) >= 0 else None,
            )
        )
        self._missed = missed

    def after(self, number: int) -> dict[str, Any]:
        """Seconds and changes of the mode with a higher number, oldest first."""
        return {
            "seconds": [asdict(each) for each in self._seconds if each.number > number],
            "changes": [asdict(each) for each in self._changes if each.number > number],
        }
