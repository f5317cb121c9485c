"""What every benchmark must reach: bench -> metric -> bar. A metric without a bar only informs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Op = Literal["<=", ">="]

_HOLDS: Mapping[Op, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Bar:
    """`value op limit` must hold. `why` is what a user loses when it does not."""

    op: Op
    limit: float
    unit: str
    why: str

    def holds(self, value: float) -> bool:
        """Whether `value` reaches the bar; NaN never does."""
        return _HOLDS[self.op](value, self.limit)


_MISSED = Bar("<=", 0, "ticks", "the arm jerks")

# Held against what the bare loop of the same turns does: how late a computer wakes a process is
# no figure of actd's. 1000 Hz is measured, and promised to nobody.
_TICK = {
    "actd.50.missed": _MISSED,
    "actd.100.missed": _MISSED,
    "actd.200.missed": _MISSED,
    "actd.50.cpu": Bar("<=", 0.08, "of a core", "inference has less of the computer"),
    "actd.50.infer_over": Bar("<=", 0.05, "", "the engine alone would make more chunks"),
}
for _hz, _over_us in ((50, 1000), (100, 1000), (200, 1000), (500, 500)):
    _TICK |= {
        f"actd.{_hz}.{name}": bar
        for name, bar in {
            "sent_p999_over_us": Bar("<=", _over_us, "us", "commands come late by its deciding"),
            "ratio": Bar(">=", 20, "x", "a plain Python loop would do"),
            "frame_over_ms": Bar("<=", 2, "ms", "what the arm does is about an older image"),
            "armed_share": Bar(">=", 0.99, "", "an idle loop's figures say nothing"),
        }.items()
    }

# A name is that of its file; behind a dash, the variant that these bars are for.
BARS: Mapping[str, Mapping[str, Bar]] = {
    "cli": {
        "help.p50_ms": Bar("<=", 300, "ms", "a command that answers late feels broken"),
    },
    "demo": {
        "missed": Bar("<=", 0, "ticks", "the arm jerks"),
        "lateness_us.p999": Bar("<=", 4000, "us", "an unprivileged user's arm stutters"),
        "first_armed_s": Bar("<=", 15, "s", "a newcomer gives up waiting"),
        "success_share": Bar(">=", 0.8, "", "on time, but the task is not done"),
    },
    "demo-fifo": {
        "missed": Bar("<=", 0, "ticks", "the arm jerks"),
        "lateness_us.p999": Bar("<=", 300, "us", "SCHED_FIFO would not be worth its privileges"),
        "first_armed_s": Bar("<=", 15, "s", "a newcomer gives up waiting"),
        "success_share": Bar(">=", 0.8, "", "on time, but the task is not done"),
    },
    "closed_loop": {
        "int8.points_lost": Bar("<=", 3, "of 100", "8 bits cost the task what they bring in time"),
    },
    # Where all succeed, one attempt more or less is chance: that it is not 10 points must be shown.
    "closed_loop-realtime": {
        "actd.over_lerobot_low": Bar(">=", -0.1, "", "a loop that stands still would do better"),
    },
    "closed_loop-realtime-moved": {
        "actd.over_lerobot_low": Bar(">=", 0, "", "a loop that stands still would do as well"),
    },
    "tick": _TICK,
    "gpu": {
        "best.p50_ms": Bar("<=", 1, "ms", "the GPU could do more than we get of it"),
        "best.vs_lerobot": Bar(">=", 10, "x", "LeRobot on the same GPU would nearly do"),
    },
    "engines": {
        "ort-int8.speedup": Bar(">=", 2.5, "x", "below it, exporting is not worth the error"),
        "ort-int8.vs_lerobot": Bar(">=", 3.3, "x", "a robot without OpenVINO gains too little"),
        "best.vs_lerobot": Bar(">=", 5, "x", "LeRobot alone would do"),
        "best.vs_roofline": Bar("<=", 1.25, "x", "the processor could do more than we get of it"),
        "slowest.load_s": Bar("<=", 2, "s", "a restarted daemon leaves the arm waiting"),
    },
}
