"""What replays found, as tables for people."""

from __future__ import annotations

from math import isfinite

from rich.console import Group
from rich.table import Table

from actd.replay.compare import Change
from actd.replay.decisions import Verdict
from actd.replay.limits import MARGIN, PERCENTILE, LimitReport


def verdict_lines(verdict: Verdict) -> list[str]:
    """A few sentences: what was judged, and where the first difference is."""
    lines = [
        f"{verdict.run}: {verdict.compared} of {verdict.ticks} ticks decided again, "
        f"from tick {verdict.first_tick} on"
    ]
    if verdict.skipped:
        lines.append(
            f"{verdict.skipped} ticks not judged: what the controller remembered there was not "
            "recorded"
        )
    found = verdict.first_difference
    if found is None:
        lines.append("the same commands, bit for bit")
        return lines
    lines.append(f"{verdict.differing} ticks differ, the first is tick {found.tick}:")
    for name, value in found.recorded.items():
        if value != found.replayed[name]:
            lines.append(f"  {name}: recorded {value}, replayed {found.replayed[name]}")
    if found.largest:
        lines.append(f"  largest difference of a command there: {found.largest:.3g}")
    return lines


def change_tables(change: Change) -> Group:
    """Per joint how commands differ, and per flag how often it was raised."""
    title = f"{change.run}: {change.differing} of {change.compared} ticks differ"
    joints = Table(title=title, title_justify="left")
    joints.add_column(f"joint, {change.units}")
    heads = ("max diff.", "rms", "max /s", "then", "max /s^2", "then", "max /s^3", "then")
    for heading in heads:
        joints.add_column(heading, justify="right")
    for j, joint in enumerate(change.joints):
        pairs = zip(change.before.motion[:, j], change.after.motion[:, j], strict=True)
        values = [change.largest[j], change.rms[j], *(value for pair in pairs for value in pair)]
        joints.add_row(joint, *[f"{value:.3g}" for value in values])
    flags = Table(title="ticks", title_justify="left")
    for heading in ("", "recorded", "then"):
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
    """Per joint how often each limit fires, what was seen, and limits that would fit."""
    table = Table(
        title=f"{report.source}: {report.ticks} ticks in {report.stretches} stretches",
        caption=f"suggested: {MARGIN:g} x {PERCENTILE:g}th percentile, and the range seen + 5 %",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("joint")
    for heading in ("limit", "fires", "largest seen", "suggested"):
        table.add_column(heading, justify="left" if heading == "limit" else "right")
    fits = report.suggested
    for j, joint in enumerate(report.joints):
        suggested = [f"[{fits.lower[j]:.3g}, {fits.upper[j]:.3g}]"]
        for rate in (fits.velocity[j], fits.acceleration[j]):
            suggested.append(f"{rate:.3g}" if isfinite(rate) else "none")
        for row, name in enumerate(("position", "velocity", "acceleration")):
            share = f"{100 * report.fired[row, j]:.2f} %" if report.fired[row, j] else "-"
            seen = f"{report.seen[row, j]:.3g}"
            table.add_row("" if row else joint, name, share, seen, suggested[row])
    return table
