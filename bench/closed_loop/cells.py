"""What is measured: cells of contestant, engine and latency, and the tables they stand in.

Pure. A cell is played at consecutive places of `examples.aloha.evaluate`, so that two cells are
compared place by place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from actd.control.chunks import DEFAULT_COEFF
from actd.sim.scene import SHIFT_S

Loop = Literal["temporal", "queue", "latest", "select_action", "ensembler"]
LEROBOT: tuple[Loop, ...] = ("select_action", "ensembler")
"""LeRobot's synchronous loop, without and with its temporal ensembler."""
DELAYS_MS = (100, 400, 0, 200, 50)
"""In the order in which they are played: what is dearest to play comes last."""
COEFFS = (-0.3, DEFAULT_COEFF, -0.03, 0.1)
ACT_COEFF = 0.01
"""The ensembling coefficient of the original ACT, and LeRobot's."""
CHUNK = 50
ROWS = (CHUNK, CHUNK // 2, CHUNK // 5)
SHIFT_CM = 4
SHIFT_MS = round(SHIFT_S * 1e3)
MOMENTS_MS = (500, 750, 1250, 1500)
"""When else the bar is moved: who looks only where half a chunk ends must not win by the moment."""
CLAIM_DELAYS_MS = (100, 200)
FIRST_UNTOUCHED = 1000
"""The first of the places by which nothing was chosen, neither a coefficient nor a policy."""
DEFAULT_ENGINE = "all-int8"


@dataclass(frozen=True, slots=True)
class Cell:
    """One contestant at one latency.

    coeff: of `temporal` and `ensembler`. rows: played of a chunk, of `queue` and `select_action`.
    delay_ms: from an observation to its chunk. shift_cm: how far the bar is moved towards the
    middle of the table, shift_ms: how long after the start.
    """

    loop: Loop
    engine: str
    delay_ms: int
    coeff: float | None = None
    rows: int | None = None
    shift_cm: int = 0
    shift_ms: int = SHIFT_MS

    @property
    def contestant(self) -> str:
        """Whose loop, and how it reads chunks."""
        who = "LeRobot" if self.loop in LEROBOT else "actd"
        how = f"{self.coeff:g}" if self.coeff is not None else f"{self.rows}" if self.rows else ""
        return f"{who} {self.loop} {how}".strip()

    @property
    def name(self) -> str:
        """Of its file."""
        shift = f"_shift{self.shift_cm}" if self.shift_cm else ""
        shift += f"_at{self.shift_ms}ms" if self.shift_ms != SHIFT_MS else ""
        return f"{self.engine}_{self.contestant.replace(' ', '-')}_{self.delay_ms}ms{shift}"


class Task(NamedTuple):
    """A cell, and at how many places it is played."""

    cell: Cell
    places: int


def modes(engine: str, delay_ms: int, shift_cm: int) -> Iterator[Cell]:
    """Every way to read chunks with one engine."""
    yield Cell("temporal", engine, delay_ms, coeff=ACT_COEFF, shift_cm=shift_cm)
    for rows in ROWS:
        yield Cell("queue", engine, delay_ms, rows=rows, shift_cm=shift_cm)
    yield Cell("latest", engine, delay_ms, shift_cm=shift_cm)


def lerobot(engine: str, delay_ms: int, shift_cm: int) -> Iterator[Cell]:
    """LeRobot's own loops."""
    for rows in ROWS:
        yield Cell("select_action", engine, delay_ms, rows=rows, shift_cm=shift_cm)
    yield Cell("ensembler", engine, delay_ms, coeff=ACT_COEFF, shift_cm=shift_cm)


def coefficients(engine: str, delay_ms: int, shift_cm: int) -> Iterator[Cell]:
    """Temporal ensembling with other coefficients than ACT's, the default among them."""
    for coeff in COEFFS:
        yield Cell("temporal", engine, delay_ms, coeff=coeff, shift_cm=shift_cm)


def precisions(engines: Sequence[str]) -> Iterator[Cell]:
    """Every engine at the same places: where the task is as trained, and where the bar is moved."""
    for engine in engines:
        for shift_cm in (0, SHIFT_CM):
            yield Cell("temporal", engine, 100, coeff=DEFAULT_COEFF, shift_cm=shift_cm)


def claims(engine: str, *, has_lerobot: bool) -> Iterator[Cell]:
    """What docs/proof.md claims of one engine, and what that is held against."""
    for delay_ms in CLAIM_DELAYS_MS:
        for shift_cm in (SHIFT_CM, 0):
            for coeff in (DEFAULT_COEFF, ACT_COEFF):
                yield Cell("temporal", engine, delay_ms, coeff=coeff, shift_cm=shift_cm)
            for rows in ROWS[:2]:
                yield Cell("queue", engine, delay_ms, rows=rows, shift_cm=shift_cm)
                if has_lerobot:
                    yield Cell("select_action", engine, delay_ms, rows=rows, shift_cm=shift_cm)
            yield Cell("latest", engine, delay_ms, shift_cm=shift_cm)
            if has_lerobot:
                yield Cell("ensembler", engine, delay_ms, coeff=ACT_COEFF, shift_cm=shift_cm)


def moments(engine: str, *, has_lerobot: bool) -> Iterator[Cell]:
    """The same with a bar that is moved sooner or later."""
    for cell in claims(engine, has_lerobot=has_lerobot):
        if cell.shift_cm and cell.delay_ms == CLAIM_DELAYS_MS[0]:
            for shift_ms in MOMENTS_MS:
                yield replace(cell, shift_ms=shift_ms)


def main_of(engines: Sequence[str]) -> str:
    """The engine that plays where engines are not compared."""
    return DEFAULT_ENGINE if DEFAULT_ENGINE in engines else engines[0]


def plan(engines: Sequence[str], *, has_lerobot: bool, places: int, survey: int) -> list[Task]:
    """Every cell that can be played with these engines, once, at its number of places.

    The engines are compared at `places`, where there are several, and all else at `survey`.
    """
    main = main_of(engines)
    compared = list(precisions(engines)) if len(engines) > 1 else []
    others: list[Cell] = []
    for delay_ms in DELAYS_MS:
        for shift_cm in (SHIFT_CM, 0):
            others += modes(main, delay_ms, shift_cm)
            others += coefficients(main, delay_ms, shift_cm)
            others += lerobot(main, delay_ms, shift_cm) if has_lerobot else ()
    tasks = [Task(cell, places) for cell in compared]
    return tasks + [Task(cell, survey) for cell in others if cell not in compared]
