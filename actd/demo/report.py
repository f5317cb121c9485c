"""The demo's output: a status line while it runs, a table and one JSON object at the end.

Pure: the daemon's `status` answer in, text and plain data out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

Status = Mapping[str, Any]


def line(status: Status) -> str:
    """One line: mode, rate, lateness, missed, inference, chunk age, cameras."""
    control, inference = _section(status, "control"), _section(status, "inference")
    cameras = " ".join(
        _number(camera.get("fps"), ".0f") for camera in _section(status, "cameras").values()
    )
    return (
        f"{status.get('mode', '?'):5} "
        f"{_number(control.get('rate_hz'), '.2f')}/{_number(control.get('target_hz'), 'g')} Hz  "
        f"late p99 {_number(_section(control, 'lateness_us').get('p99'), '.0f')} us  "
        f"missed {_number(control.get('missed'), 'd')}  "
        f"infer {_number(_section(inference, 'ms').get('p50'), '.0f')} ms  "
        f"chunk {_number(_section(control, 'chunk_age_ms').get('p50'), '.0f')} ms  fps {cameras}"
    )


def waiting_for(status: Status) -> str:
    """Why the daemon is not ready yet, in a few words."""
    cameras = [
        f"{name} {camera.get('state')}"
        for name, camera in _section(status, "cameras").items()
        if camera.get("state") != "ok"
    ]
    engine = _section(status, "inference").get("state")
    reasons = cameras + ([f"engine {engine}"] if engine != "running" else [])
    return ", ".join(reasons) or "the robot's state"


def result(status: Status) -> dict[str, Any]:
    """The loop-timing figures of a run, under the names that scripts rely on."""
    control, inference = _section(status, "control"), _section(status, "inference")
    return {
        "ticks": control.get("ticks", 0),
        "missed": control.get("missed", 0),
        "underruns": control.get("underruns", 0),
        "rate_hz": control.get("rate_hz"),
        "target_hz": control.get("target_hz"),
        "lateness_us": _pick(control, "lateness_us", ("p50", "p99", "p999", "max")),
        "inference_ms": _pick(inference, "ms", ("p50", "p99")),
        "chunks": inference.get("chunks", 0),
        "chunk_age_ms": _pick(control, "chunk_age_ms", ("p50", "p99")),
        "cameras": {
            name: {"fps": camera.get("fps"), "drops": camera.get("drops")}
            for name, camera in _section(status, "cameras").items()
        },
        "mode": status.get("mode"),
        "mode_counts": dict(_section(control, "mode_counts")),
        "engine": inference.get("engine"),
        "realtime": dict(_section(status, "realtime")),
    }


def table(result: Mapping[str, Any]) -> Table:
    """The figures as a table."""
    late, infer, age = result["lateness_us"], result["inference_ms"], result["chunk_age_ms"]
    rows = {
        "task": f"{result['successes']} of {result['attempts']} attempts done, "
        f"{result['faults']} faults",
        "control rate": f"{_number(result['rate_hz'], '.3f')} Hz of "
        f"{_number(result['target_hz'], 'g')}",
        "ticks": f"{result['ticks']}, missed {result['missed']}",
        "chunk underruns": str(result["underruns"]),
        "tick lateness": _percentiles(late, ".0f", "us"),
        "inference": (
            f"{_percentiles(infer, '.1f', 'ms')}, {result['chunks']} chunks ({result['engine']})"
        ),
        "chunk age": _percentiles(age, ".0f", "ms"),
    }
    for name, camera in result["cameras"].items():
        rows[name] = f"{_number(camera['fps'], '.1f')} fps, {camera['drops']} drops"
    rows["modes"] = ", ".join(f"{mode} {n}" for mode, n in result["mode_counts"].items() if n)
    grid = Table(title="cadence", title_justify="left", show_header=False)
    for name, text in rows.items():
        grid.add_row(name, text)
    return grid


PERCENTILES = {"p50": "p50", "p99": "p99", "p999": "p99.9", "max": "max"}


def _percentiles(figures: Mapping[str, Any], form: str, unit: str) -> str:
    parts = (f"{PERCENTILES[key]} {_number(value, form)}" for key, value in figures.items())
    return f"{'  '.join(parts)} {unit}"


def _pick(parent: Mapping[str, Any], key: str, names: tuple[str, ...]) -> dict[str, Any]:
    figures = _section(parent, key)
    return {name: figures.get(name) for name in names}


def _section(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, (int, float)) else "-"
