"""What is wrong here: doctor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from actd.cli.app import app
from actd.cli.shared import DEFAULT_CONFIG, AsJson, OptionalPath
from actd.errors import UsageError
from actd.redaction import redact, redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actd.doctor.finding import Row
    from actd.doctor.tune import Change

_STYLES: Mapping[str, Mapping[str, Any]] = {
    "ok": {"fg": "green"},
    "warning": {"fg": "yellow"},
    "failure": {"fg": "red", "bold": True},
    "not applicable": {"dim": True},
}


@app.command()
def doctor(
    config: Annotated[
        OptionalPath,
        typer.Argument(help="Deployment file (default: ./actd.yaml if there is one)."),
    ] = None,
    checkpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Compare the engine with this checkpoint."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=0, max=3600, help="How long lateness is measured; 0: not at all."),
    ] = 10.0,
    bundle: Annotated[
        OptionalPath,
        typer.Option(help="Also write FILE.tar.gz for a bug report, without secrets."),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Apply settings of this computer that help; as root.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Put back what --tune changed; as root.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --tune or --restore: change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with this computer, this deployment and this robot, with a fix for each.

    Moves nothing, and leaves a running daemon alone. Exits 1 where something fails.
    """
    if tune or restore:
        if (tune and restore) or config or checkpoint or bundle or as_json:
            raise UsageError("--tune, --restore: give one of them, alone or with --dry-run")
        _set_up(restore=restore, dry_run=dry_run)
        return
    if dry_run:
        raise UsageError("--dry-run: give it with --tune or --restore")
    from actd.doctor.bundle import check_name, write_bundle
    from actd.doctor.examine import gather, judge

    if bundle is not None:
        check_name(bundle)

    path = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    facts = gather(path, checkpoint=checkpoint, seconds=seconds, say=_say)
    rows = judge(facts)
    if bundle is not None:
        names = write_bundle(bundle, facts, rows)
        typer.echo(
            f"{bundle}: written, {len(names)} files; look at it before you send it", err=True
        )
    failed = any(row.finding.outcome == "failure" for row in rows)
    if as_json:
        checks = redacted([row.to_dict() for row in rows])
        typer.echo(json.dumps({"ok": not failed, "checks": checks}))
    else:
        _show(rows)
    if failed:
        raise typer.Exit(1)


def _say(what: str) -> None:
    typer.echo(f"{what} ...", err=True)


def _show(rows: Sequence[Row]) -> None:
    """A line for each finding and one for its fix, never wrapped: fixes are there to be copied."""
    width = max(len(row.name) for row in rows)
    for row in rows:
        outcome = row.finding.outcome
        shown = typer.style(f"{outcome:14}", **_STYLES[outcome])
        typer.echo(f"{redact(row.name):{width}}  {shown}  {redact(row.finding.found)}")
        if row.fix is not None:
            typer.echo(f"{'':{width}}  {'':14}  fix: {redact(row.fix)}")
    counts = Counter(row.finding.outcome for row in rows)
    typer.echo(
        f"{counts['ok']} ok, {counts['warning']} to look at, {counts['failure']} failed, "
        f"{counts['not applicable']} not applicable"
    )


def _set_up(*, restore: bool, dry_run: bool) -> None:
    from actd.doctor import tune

    changes: list[Change] = tune.restorations() if restore else tune.changes()
    if not changes:
        nothing = "everything is as it was" if restore else "nothing to set up"
        typer.echo(f"doctor: {nothing}")
    if not dry_run and restore:
        tune.restore()
    elif not dry_run and changes:
        tune.apply(changes)
    for change in changes:
        typer.echo(f"would be {change}" if dry_run else str(change))
    if changes and not restore and not dry_run:
        typer.echo(
            "until the computer is started again; sudo $(which actd) doctor --restore puts it back",
            err=True,
        )
