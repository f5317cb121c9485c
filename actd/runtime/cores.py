"""Who runs on which cores: one table, from what the computer has and what is asked for.

Pure. From four cores up the tick has the last one for itself and everybody else keeps off
it. On fewer that would cost inference too much where SCHED_FIFO can be had: the tick pushes
aside whoever is on its core, and everybody may use all of them. Where it cannot, or where
inference is told to compute on fewer threads, the tick has its own core here too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

Cores = tuple[int, ...]

_ENOUGH_FOR_ONE_TO_SPARE = 4


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one process runs, and how much it gives way to others."""

    cores: Cores
    nice: int


@dataclass(frozen=True, slots=True)
class CoreChoice:
    """What the deployment says; None: automatic."""

    tick: Cores | None = None
    inference: Cores | None = None
    cameras: Cores | None = None
    recorder: Cores | None = None
    supervisor: Cores | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The cores of each role, and how many threads inference computes with."""

    tick: Cores
    inference: Cores
    cameras: Cores
    recorder: Cores
    supervisor: Cores
    threads: int


def share(available: Collection[int], choice: CoreChoice, *, fifo: bool) -> Share:
    """Divide the cores. What is asked for is given, and the rest is arranged around it."""
    cores = tuple(sorted(available))
    taken = choice.inference or ()
    last = tuple(core for core in cores if core not in taken)[-1:] or cores[-1:]
    tick = choice.tick or last
    rest = tuple(core for core in cores if core not in tick) or cores
    threads = choice.threads or len(cores if fifo else rest)
    if len(cores) >= _ENOUGH_FOR_ONE_TO_SPARE or threads <= len(rest):
        others = rest
    else:
        others = cores
        if not fifo:
            # A tick that cannot push anyone aside is best off wherever it gets a turn first.
            tick = choice.tick or cores
    inference = choice.inference or others
    return Share(
        tick=tick,
        inference=inference,
        cameras=choice.cameras or others,
        recorder=choice.recorder or others,
        supervisor=choice.supervisor or others,
        threads=choice.threads or len(inference),
    )
