"""The tables and the picture of docs/proof.md, from the results in the repository."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actd.errors import ActdError
from actd.proportions import Z_95
from bench.closed_loop import realtime
from bench.closed_loop.cells import ACT_COEFF, CLAIM_DELAYS_MS, LEROBOT, SHIFT_CM, SHIFT_MS, Cell
from bench.closed_loop.outcome import Outcome, difference, outcome, reference_of
from bench.closed_loop.results import Result, read_all

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURE = DOCS / "proof.md", DOCS / "images" / "closed-loop.png"
LINES = {
    "actd temporal -0.1": ("tab:blue", "-"),
    "actd temporal 0.01": ("tab:blue", "--"),
    "actd queue 50": ("tab:green", "--"),
    "actd queue 25": ("tab:green", "-"),
    "actd latest": ("tab:purple", "-"),
    "LeRobot select_action 50": ("tab:red", "--"),
    "LeRobot select_action 25": ("tab:red", "-"),
    "LeRobot ensembler 0.01": ("tab:orange", "-"),
}
"""What is drawn, and how."""
PAIRS = (
    ("actd temporal 0.01", "actd temporal -0.1"),
    ("actd queue 50", "actd queue 25"),
    ("actd queue 25", "actd temporal -0.1"),
    ("LeRobot select_action 50", "actd queue 50"),
    ("LeRobot select_action 25", "actd queue 25"),
    ("LeRobot select_action 50", "actd temporal -0.1"),
    ("LeRobot ensembler 0.01", "actd temporal -0.1"),
)
"""What is compared place by place: the first is the reference."""
MOMENT_PAIRS = (
    ("actd temporal -0.1", "actd queue 25"),
    ("actd temporal 0.01", "actd temporal -0.1"),
    ("LeRobot select_action 25", "actd queue 25"),
)
"""The same, on the average of the moments at which the bar is moved."""
SHIFTS = {0: "as trained", SHIFT_CM: f"bar moved by {SHIFT_CM} cm after {SHIFT_MS / 1e3:g} s"}

Outcomes = Mapping[Cell, Outcome]


def write(folder: Path) -> None:
    """Fill in the page and draw its picture from `folder`: a subfolder per policy, and one for the
    untouched places.
    """
    demo = [result for result in read_all(folder / "demo") if result.attempts]
    untouched = [result for result in read_all(folder / "untouched") if result.attempts]
    trained = [result for result in read_all(folder / "trained") if result.attempts]
    if not demo:
        raise ActdError(
            f"{folder / 'demo'}: no results; play some with: python -m bench.closed_loop"
        )
    outcomes = {result.cell: outcome(result) for result in demo}
    blocks = {
        "untouched": _untouched([one for one in untouched if one.cell.shift_ms == SHIFT_MS]),
        "moments": _moments(untouched),
        "success": "\n\n".join(_successes(outcomes, shift_cm) for shift_cm in SHIFTS),
        "pairs": _pairs(demo),
        "motion": _motion(outcomes),
        "engines": _engines(trained),
        "realtime": "\n\n".join(
            _realtime(file)
            for file in sorted((folder / "demo" / "bars").glob(f"{realtime.RESULT}*.json"))
        )
        or "*Not measured yet.*",
        "where": _where(demo),
    }
    text = PAGE.read_text()
    for name, block in blocks.items():
        text = filled(text, name, block)
    PAGE.write_text(text)
    draw(outcomes, PICTURE)


def filled(text: str, name: str, block: str) -> str:
    """`text` with `block` between the marks of this name. Raises ActdError without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, mark, rest = text.partition(begin)
    _, mark_too, after = rest.partition(end)
    if not mark or not mark_too:
        raise ActdError(f"{PAGE}: no {begin} ... {end}; put both where the table belongs")
    return f"{before}{begin}\n{block}\n{end}{after}"


def _successes(outcomes: Outcomes, shift_cm: int) -> str:
    """Contestants by latency."""
    cells = [cell for cell in outcomes if cell.shift_cm == shift_cm]
    delays = sorted({cell.delay_ms for cell in cells})
    by = {(cell.contestant, cell.delay_ms): outcomes[cell] for cell in cells}
    rows = [
        [name, *(_share(by.get((name, delay_ms))) for delay_ms in delays)]
        for name in _contestants(cells)
    ]
    title = f"Successes, {SHIFTS[shift_cm]}"
    return table([title, *(f"{delay_ms} ms" for delay_ms in delays)], rows)


def _untouched(results: Sequence[Result]) -> str:
    """Contestants by what was done to the bar and latency, then against each other."""
    if not results:
        return "*Not played yet.*"
    outcomes = {result.cell: outcome(result) for result in results}
    columns = sorted(
        {(cell.shift_cm, cell.delay_ms) for cell in outcomes},
        key=lambda column: (-column[0], column[1]),
    )
    by = {(cell.contestant, cell.shift_cm, cell.delay_ms): of for cell, of in outcomes.items()}
    rows = [
        [name, *(_share(by.get((name, *column))) for column in columns)]
        for name in _contestants(outcomes)
    ]
    heads = [
        f"{'bar moved' if shift_cm else 'as trained'}, {delay_ms} ms"
        for shift_cm, delay_ms in columns
    ]
    return "\n\n".join((table(["", *heads], rows), _pairs(results), _where(results)))


def _moments(results: Sequence[Result]) -> str:
    """Contestants by when the bar was moved, where all of these were played."""
    moved = {
        result.cell: result
        for result in results
        if result.cell.shift_cm and result.cell.delay_ms == CLAIM_DELAYS_MS[0]
    }
    times_ms = sorted({cell.shift_ms for cell in moved})
    # The same places for everyone, and for every moment.
    places = min((len(one.attempts) for one in moved.values()), default=0)
    if len(times_ms) < 2 or places < 2:
        return "*Not played yet.*"
    rows = []
    means: dict[str, list[float]] = {}
    for name in _contestants(moved):
        own = {cell.shift_ms: one for cell, one in moved.items() if cell.contestant == name}
        same = [replace(one, attempts=one.attempts[:places]) for _, one in sorted(own.items())]
        done = [[each.seconds is not None for each in one.attempts] for one in same]
        means[name] = [statistics.mean(at_place) for at_place in zip(*done, strict=True)]
        mean = f"{100 * statistics.mean(means[name]):.1f} %"
        rows.append([name, *map(_share, map(outcome, same)), mean])
    heads = ["Bar moved after", *(f"{each / 1e3:g} s" for each in times_ms), "mean"]
    against = [
        f"{after} against {before} {_mean_difference(means[after], means[before])}"
        for before, after in MOMENT_PAIRS
        if before in means and after in means
    ]
    return f"{table(heads, rows)}\n\nMeans, points of 100: {'; '.join(against)}."


def _mean_difference(of: Sequence[float], reference: Sequence[float]) -> str:
    """With its 95 % interval; what happens at one place counts as one."""
    by_place = [100 * (one - other) for one, other in zip(of, reference, strict=True)]
    middle = statistics.mean(by_place)
    half = Z_95 * statistics.stdev(by_place) / len(by_place) ** 0.5
    return f"{middle:+.1f} ({middle - half:+.1f} to {middle + half:+.1f})"


def _pairs(results: Sequence[Result]) -> str:
    """Contestants against others where the bar is moved, by latency."""
    moved = {
        (result.cell.contestant, result.cell.delay_ms): result
        for result in results
        if result.cell.shift_cm
    }
    delays = sorted({delay_ms for _, delay_ms in moved})
    rows = []
    for before, after in PAIRS:
        row = [f"{after}, against {before}"]
        for delay_ms in delays:
            result, reference = moved.get((after, delay_ms)), moved.get((before, delay_ms))
            row.append(_against(result, reference) if result and reference else "")
        rows.append(row)
    return table(["Bar moved, same places", *(f"{each} ms" for each in delays)], rows)


def _against(result: Result, reference: Result) -> str:
    of = difference(result, reference)
    return f"{of.gained} gained, {of.lost} lost of {of.places}, p {of.p:.2g}"


def _motion(outcomes: Outcomes) -> str:
    """How the arm moved, where nothing disturbs it."""
    rows = []
    for name in _contestants(outcomes):
        own = {
            c.delay_ms: o for c, o in outcomes.items() if c.contestant == name and not c.shift_cm
        }
        if {100, 400} <= own.keys():
            rows.append([name, *(cell for delay in (100, 400) for cell in _moves(own[delay]))])
    heads = [f"{what}, {delay} ms" for delay in (100, 400) for what in ("time", "step", "jerk")]
    return table(["", *heads], rows)


def _moves(of: Outcome) -> tuple[str, str, str]:
    seconds = "" if of.seconds is None else f"{of.seconds:.1f} s"
    return seconds, f"{of.step_rad:.3f} rad", f"{of.jerk:.0f}"


def _engines(results: Sequence[Result]) -> str:
    """Engines of one policy, each beside the one in float32."""
    rows = []
    for result in results:
        reference = reference_of(result, results)
        if reference is None:
            continue
        cell = result.cell
        against = points = ""
        if reference is not result:
            against = _against(result, reference)
            points = "{:+.1f} to {:+.1f}".format(*difference(result, reference).points)
        where = f"{cell.contestant}, {cell.delay_ms} ms, {SHIFTS[cell.shift_cm]}"
        rows.append((where, cell.engine, _share(outcome(result)), against, points))
    if not rows:
        return "*Not measured yet: no float32 engine has been played.*"
    rows.sort()
    heads = ["", "engine", "successes", "against float32, same places", "points of 100, 95 %"]
    return table(heads, rows)


def _realtime(file: Path) -> str:
    result = json.loads(file.read_text())
    figures: Mapping[str, float] = result["metrics"]
    rows = [
        [
            "actd, the demo's daemon" if name == "actd" else f"LeRobot {name}",
            f"{figures[f'{name}.successes']:.0f} of {figures[f'{name}.attempts']:.0f}",
            f"{100 * figures[f'{name}.low']:.0f} to {100 * figures[f'{name}.high']:.0f} %",
            f"{figures[f'{name}.infer_p50_ms']:.0f} ms",
            f"{figures[f'{name}.skipped_cycles']:.0f}",
            f"{figures[f'{name}.faults']:.0f}",
        ]
        for name in result["turns"]
    ]
    heads = ["", "done", "95 %", "inference p50", "cycles the simulator lost", "faults"]
    machine, infer_ms = result["machine"], result.get("infer_ms")
    what = (
        "The engine as it is" if infer_ms is None else f"An inference computes for {infer_ms:g} ms"
    )
    if shift_cm := result.get("shift_cm"):
        what += f"; the bar is moved by {shift_cm} cm after 1 s"
    where = (
        f"{what}. {machine['cpu']}, {machine['cores']} cores, busy processes beside: "
        f"{result['busy']}, load average {machine['load_1min']}, {machine['utc'][:10]}."
    )
    return f"{table(heads, rows)}\n\n{where}"


def _where(results: Sequence[Result]) -> str:
    machines: list[Mapping[str, Any]] = [result.machine for result in results]
    commits = ", ".join(sorted({str(machine.get("git"))[:7] for machine in machines}))
    newest = max(machines, key=lambda machine: str(machine.get("utc")))
    versions = newest["versions"]
    return (
        f"{len(results)} cells, {sum(len(result.attempts) for result in results)} attempts; "
        f"{newest['cpu']}, Python {newest['python']}, onnxruntime {versions['onnxruntime']}, one "
        f"thread; commit {commits}, {str(newest.get('utc'))[:10]}."
    )


def _contestants(cells: Iterable[Cell]) -> list[str]:
    """actd's first, each kind of loop together, ACT's coefficient and the most rows first."""
    firsts = {cell.contestant: cell for cell in cells}
    return sorted(firsts, key=lambda name: _order(firsts[name]))


def _order(cell: Cell) -> tuple[bool, str, int, float]:
    is_acts = cell.coeff is None or cell.coeff == ACT_COEFF
    return cell.loop in LEROBOT, cell.loop, -(cell.rows or 0), 0.0 if is_acts else cell.coeff or 9.0


def _share(of: Outcome | None) -> str:
    if of is None:
        return ""
    share = f"{100 * of.successes / of.places:.0f} %"
    return f"**{share}** ({100 * max(0.0, of.low):.0f} to {100 * of.high:.0f}, n = {of.places})"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [[f" {cell} " if cell else " " for cell in row] for row in (heads, *rows)]
    lines.insert(1, ["---"] * len(heads))
    return "\n".join(f"|{'|'.join(line)}|" for line in lines)


def draw(outcomes: Outcomes, file: Path) -> None:
    """Success by latency, as trained and with the bar moved, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4), layout="constrained")
    for number, (axes, shift_cm) in enumerate(
        zip(figure.subplots(1, 2, sharey=True), SHIFTS, strict=True)
    ):
        for place, (name, (colour, style)) in enumerate(LINES.items()):
            points = sorted(
                (cell.delay_ms, of)
                for cell, of in outcomes.items()
                if (cell.contestant, cell.shift_cm) == (name, shift_cm)
            )
            if not points:
                continue
            shares = [100 * of.successes / of.places for _, of in points]
            low = [share - 100 * of.low for share, (_, of) in zip(shares, points, strict=True)]
            high = [100 * of.high - share for share, (_, of) in zip(shares, points, strict=True)]
            axes.errorbar(
                [delay_ms + 3 * (place - 3) for delay_ms, _ in points],  # side by side
                shares,
                yerr=[[max(0.0, each) for each in low], [max(0.0, each) for each in high]],
                label=name,
                color=colour,
                linestyle=style,
                marker="o",
                markersize=4,
                linewidth=1.5,
                elinewidth=0.8,
                capsize=2,
            )
        axes.set(title=SHIFTS[shift_cm], xlabel="from observation to chunk (ms)", ylim=(-3, 103))
        axes.grid(visible=True, alpha=0.3)
        if number == 0:
            axes.set_ylabel("successes (%), 95 % Wilson")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(file, dpi=110)
