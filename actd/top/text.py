"""What `actd top` shows, as tables; pure. Raises LookupError and the like for another's status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from actd.control.flag_words import FLAG_WORDS
from actd.link.request import START
from actd.mode import Mode
from actd.top.watch import SECONDS, View

_BLOCKS = "▁▂▃▄▅▆▇█"
_PERCENTILES = {"p50": "p50", "p99": "p99", "p999": "p99.9", "max": "max"}
Row = tuple[str, str]


def mode_of(view: View) -> str:
    """The mode; "?" where nobody can know it."""
    return "?" if view.action is None or view.lost else view.action.mode.name


def head(view: View) -> str:
    """Which robot it is, its mode and why; what is missing, and what to do."""
    if view.action is None or view.lost:
        since = "" if view.silent_ns is None else f" for {view.silent_ns / 1e9:.0f} s"
        trouble = (view.trouble or "waiting for the first action").removesuffix(f"; {START}")
        return f"{view.robot}  ?  NO LINK{since}; {trouble}; {START}"
    action = view.action
    first = f"{action.robot}  {action.mode.name}"
    return "  ".join(filter(None, (first, action.reason, view.trouble)))


def condition(view: View) -> Table:
    """What acts on the command now, and how the ticks, the engine and the robot do."""
    return _table(_condition(view))


def _condition(view: View) -> Iterator[Row]:
    action, status = view.action, view.status
    if action is not None:
        acting = [words for flag, words in FLAG_WORDS.items() if action.flags & flag]
        yield "now", ", ".join(acting) or "nothing limits the command"
    if status is None:
        yield "status", "no answer"
        return
    control, inference = status["control"], status["inference"]
    if status["move"]:
        yield "moving", f"{status['move']['share']:.0%}, {status['move']['left_s']:.1f} s left"
    yield "rate", f"{control['rate_hz']:.2f} of {control['target_hz']:g} Hz"
    yield "missed", f"{control['missed']} slots, {control['underruns']} underruns"
    if view.late_us:
        spark = _spark(view.late_us, 1e6 / control["target_hz"])
        yield f"late, {SECONDS} s", f"{spark} {max(view.late_us):.0f} us"
    yield "engine", f"{inference['engine']}: {inference['state']}; {inference['rate_hz']:.1f} Hz"
    if action is not None and action.age_ms >= 0:
        yield "chunk", f"{action.chunk}, {action.age_ms:.0f} ms old, {action.n} blended"
    yield "state", _age(status["state_age_ms"])
    yield "acknowledged", _age(status["acknowledged_ms"])
    yield "recorder", str(status["flight"])


def timing(view: View) -> Table:
    """Percentiles since the statistics were last cleared, and the budget of the ticks."""
    table = Table(expand=True, box=None, header_style="bold", show_header=view.status is not None)
    table.add_column("", ratio=1)
    for name in _PERCENTILES.values():
        table.add_column(name, justify="right")
    table.add_column("of", justify="right")
    table.add_column("")
    if view.status is None:
        return table
    control, inference = view.status["control"], view.status["inference"]
    period = f"{1e6 / control['target_hz']:.0f}"
    for name, percentiles, budget, unit in (
        ("lateness", control["lateness_us"], period, "us"),
        ("tick's work", control["work_us"], period, "us"),
        ("chunk age", control["chunk_age_ms"], "", "ms"),
        ("inference", inference["ms"], "", "ms"),
    ):
        table.add_row(name, *(f"{percentiles[key]:.0f}" for key in _PERCENTILES), budget, unit)
    return table


def _spark(late_us: tuple[float, ...], period_us: float) -> str:
    """A second a block; a full one is as late as a period is long."""
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(top, int(value / period_us * top))] for value in late_us)


def cameras(view: View) -> Table:
    """Each camera's condition, rate and age."""
    rows = (view.status or {}).get("cameras", {})
    table = Table(expand=True, box=None, header_style="bold", show_header=bool(rows))
    table.add_column("camera", ratio=2)
    table.add_column("fps", justify="right")
    table.add_column("age", justify="right")
    table.add_column("lost", justify="right")
    table.add_column("", ratio=3)
    for name, camera in rows.items():
        asked = camera.get("fps_asked")
        table.add_row(
            Text(name),
            f"{camera['fps']:.1f}" + (f"/{asked:g}" if asked else ""),
            "-" if camera["age_ms"] is None else f"{camera['age_ms']:.0f} ms",
            str(camera["drops"] + camera.get("damaged", 0)),
            Text(str(camera["state"])),
        )
    return table


def joints(view: View) -> Table:
    """Commanded and measured positions, and the following error."""
    commands = view.commanded
    measured: Mapping[str, float] = (view.status or {}).get("positions", {})
    names = dict.fromkeys((*commands, *measured))
    table = Table(expand=True, box=None, header_style="bold", show_header=bool(names))
    table.add_column("joint", ratio=1)
    for name in ("command", "measured", "error"):
        table.add_column(name, justify="right")
    for name in names:
        command, position = commands.get(name), measured.get(name)
        error = None if command is None or position is None else command - position
        table.add_row(Text(name), _number(command), _number(position), _number(error))
    return table


def events(view: View) -> Table:
    """What happened since the start of `actd top`, newest first."""
    at = [(f"{datetime.fromtimestamp(event.unix_s):%H:%M:%S}", event.text) for event in view.events]
    return _table(at)


def _table(rows: Any) -> Table:
    table = Table(expand=True, box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1)
    for name, text in rows:
        table.add_row(name, Text(text))  # a name from a file may look like markup
    return table


def _age(age_ms: float | None) -> str:
    return "nothing yet" if age_ms is None else f"{age_ms:.0f} ms ago"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


STYLES: Mapping[str, str] = {mode.name: mode.name.lower() for mode in Mode} | {"?": "lost"}
"""The style of each of `mode_of`; the word is always there too."""
