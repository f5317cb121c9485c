"""Engines on recorded episodes: eval."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from actd.cli.app import app
from actd.cli.checkpoint import with_overrides
from actd.cli.shared import AsJson, OptionalPath, names, numbers, show
from actd.errors import ActdError
from actd.policy.overrides import Overrides

if TYPE_CHECKING:
    from actd.evaluation.accuracy import Evaluation
    from actd.evaluation.evaluate import Progress

    Draw = Callable[[Evaluation, Mapping[str, Any]], str]

_KIND = "actd eval"
_FIGURES, _PAGE = "eval.json", "eval.html"


@app.command("eval")
@with_overrides
def evaluate(
    recording: Annotated[
        Path, typer.Argument(metavar="DATASET", help="LeRobotDataset folder, v2.1 or v3.0.")
    ],
    engine: Annotated[
        str, typer.Option(help="Engine folders, or names inside --engines, by comma; also torch.")
    ],
    engines: Annotated[Path, typer.Option(help="Where engines are found by name.")] = Path(
        "engines"
    ),
    checkpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="What torch runs; default: what the engines were built from."),
    ] = None,
    torch: Annotated[
        bool, typer.Option("--torch/--no-torch", help="Compare with torch where it can be had.")
    ] = True,
    episodes: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Such as 0,3,10-20; default: all."),
    ] = None,
    stride: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Every Nth frame; default: about 600 frames altogether."),
    ] = None,
    out: Annotated[OptionalPath, typer.Option(help="Default: ./eval-DATASET.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget finished episodes.")] = False,
    as_json: AsJson = False,
    *,
    overrides: Overrides,
) -> None:
    """Measure engines on recorded episodes: L1 and L2 to what was recorded, errors to torch.

    Finished episodes are kept, so the same command goes on where it was interrupted.
    """
    try:
        # what the page needs is missed before hours of inference, not after them
        from actd.evaluation.accuracy_page import evaluation_page
    except ModuleNotFoundError as error:
        raise ActdError(f"eval needs {error.name}; pip install 'actd[record,report]'") from None
    from actd.datasets.reader import open_dataset
    from actd.evaluation import evaluate as verdict
    from actd.evaluation.candidates import eval_candidates

    dataset = open_dataset(recording)
    candidates = eval_candidates(names(engine), engines, checkpoint, overrides, with_torch=torch)
    target = out or Path(f"eval-{recording.resolve().name}")
    chosen = verdict.choose_episodes(dataset, numbers("--episodes", episodes))
    step = stride or verdict.choose_stride(dataset, chosen, target, fresh=fresh)
    _check_places(target)
    frames = sum(-(-dataset.length(episode) // step) for episode in chosen)
    typer.echo(f"{frames} frames of {len(chosen)} episodes, --stride {step}", err=True)
    try:
        with _progress() as progress:
            evaluation = verdict.evaluate(
                dataset,
                candidates,
                target,
                episodes=chosen,
                stride=step,
                fresh=fresh,
                progress=progress,
            )
    except KeyboardInterrupt:
        typer.echo(f"finished episodes are kept in {target}; go on with: {_again()}", err=True)
        raise
    _publish(evaluation, evaluation_page, target, as_json)
    if not as_json and candidates.engines:
        typer.echo(f"next: actd bench {' '.join(c.place for c in candidates.engines)}")
    raise typer.Exit(0 if evaluation.passed else 1)


def _check_places(out: Path) -> None:
    """What would stop the figures is said before hours of inference, not after."""
    from actd.report.page import PAGE_FILE
    from actd.report.record import json_file

    json_file(_KIND).check_place(out / _FIGURES)
    PAGE_FILE.check_place(out / _PAGE)


def _publish(evaluation: Evaluation, draw: Draw, out: Path, as_json: bool) -> None:
    """Write the figures and the page, and print them."""
    from actd.evaluation.accuracy_table import render
    from actd.host import machine
    from actd.report.page import PAGE_FILE
    from actd.report.record import save_json

    data, drawn, about = out / _FIGURES, out / _PAGE, machine()
    save_json(evaluation.to_dict() | {"machine": about}, data, _KIND)
    PAGE_FILE.write(draw(evaluation, about), drawn)
    if as_json:
        typer.echo(data.read_text(encoding="utf-8"), nl=False)
    else:
        show(render(evaluation))
        typer.echo(f"wrote {data} and {drawn}")
    for score in evaluation.scores:
        if score.against_torch and score.against_torch.excess:
            typer.echo(f"{score.candidate.name}: {score.against_torch.excess}", err=True)


def _again() -> str:
    """The command that was given, without what would throw away what is kept."""
    return shlex.join(["actd", *(word for word in sys.argv[1:] if word != "--fresh")])


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar of frames on stderr, with the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
