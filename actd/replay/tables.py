"""The results of replays as text and tables for the terminal."""

from __future__ import annotations

from math import isfinite

from rich.console import Group
from rich.table import Table

from actd.replay.compare import Change
from actd.replay.decisions import ReplayResult
from actd.replay.limits import MARGIN, PERCENTILE, LimitReport


def result_lines(result: ReplayResult) -> list[str]:
    """A few sentences: which ticks were compared, and where the first difference is."""
    lines = [
        f"{result.run}: {result.compared} of {result.ticks} ticks replayed, "
        f"from tick {result.first_tick} on"
    ]
    if result.skipped:
        lines.append(
            f"{result.skipped} ticks not compared: the controller's memory at them was not recorded"
        )
    difference = result.first_difference
    if difference is None:
        lines.append("the commands are identical, bit for bit")
        return lines
    lines.append(f"{result.differing} ticks differ, the first is tick {difference.tick}:")
    for name, value in difference.recorded.items():
        if value != difference.replayed[name]:
            lines.append(f"  {name}: recorded {value}, replayed {difference.replayed[name]}")
    if difference.largest:
        lines.append(f"  largest difference of a command there: {difference.largest:.3g}")
    return lines


def change_tables(change: Change) -> Group:
    """Per joint the differences of commands, and per flag and mode the number of ticks."""
    title = f"{change.run}: {change.differing} of {change.compared} ticks differ"
    joints = Table(title=title, title_justify="left")
    joints.add_column(f"joint, {change.units}")
    heads = ("max diff.", "rms", "max /s", "new", "max /s^2", "new", "max /s^3", "new")
    for heading in heads:
        joints.add_column(heading, justify="right")
    for j, joint in enumerate(change.joints):
        pairs = zip(change.before.motion[:, j], change.after.motion[:, j], strict=True)
        values = [change.largest[j], change.rms[j], *(value for pair in pairs for value in pair)]
        joints.add_row(joint, *[f"{value:.3g}" for value in values])
    flags = Table(title="ticks", title_justify="left")
    for heading in ("", "recorded", "new"):
        flags.add_column(heading, justify="right" if heading else "left")
    for name in change.before.flags:
        counts = change.before.flags[name], change.after.flags[name]
        if any(counts):
            flags.add_row(name.lower().replace("_", " "), *map(str, counts))
    for name in sorted(change.before.modes | change.after.modes):
        counts = change.before.modes.get(name, 0), change.after.modes.get(name, 0)
        flags.add_row(name, *map(str, counts))
    return Group(joints, flags)


def limits_table(report: LimitReport) -> Table:
    """Per joint how often each limit fires, the largest values, and suggested limits."""
    table = Table(
        title=f"{report.source}: {report.ticks} ticks; stretches of motion: {report.stretches}",
        caption=f"suggested: {MARGIN:g} x {PERCENTILE:g}th percentile, and the range + 5 %",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("joint")
    for heading in ("limit", "fires", "largest", "suggested"):
        table.add_column(heading, justify="left" if heading == "limit" else "right")
    limits = report.suggested
    for j, joint in enumerate(report.joints):
        suggested = [f"[{limits.lower[j]:.3g}, {limits.upper[j]:.3g}]"]
        for rate in (limits.velocity[j], limits.acceleration[j]):
            suggested.append(f"{rate:.3g}" if isfinite(rate) else "none")
        for row, name in enumerate(("position", "velocity", "acceleration")):
            share = f"{100 * report.fired[row, j]:.2f} %" if report.fired[row, j] else "-"
            largest = f"{report.largest[row, j]:.3g}"
            table.add_row("" if row else joint, name, share, largest, suggested[row])
    return table
