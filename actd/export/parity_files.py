"""Write parity reports: into the engine folder, or beside it for a rejected build.

An earlier engine stays as it is when a new build is rejected: the report is then
`OUT/<engine>.rejection.json` and `.html`. A later build that passes removes these two, and
only files by actd are ever replaced. Without `actd[report]` there is no page.
"""

from __future__ import annotations

from pathlib import Path

from actd.export.parity import KIND, PAGE, PARITY_JSON, ParityReport
from actd.report.record import json_file

_OPTIONAL = ("jinja2", "markupsafe", "matplotlib")


def publish_parity(parity_report: ParityReport, folder: Path) -> list[Path]:
    """Write parity.json and, with `actd[report]`, parity.html into an engine folder."""
    return _write(parity_report, folder / PARITY_JSON, folder / PAGE)


def publish_rejection(parity_report: ParityReport, out: Path) -> list[Path]:
    """Write the report of a rejected engine into `out`, beside the engine's folder."""
    return _write(parity_report, *_rejection(out, parity_report.manifest.engine))


def remove_rejection(out: Path, engine: str) -> None:
    """Remove the report of an earlier rejection of the same engine, which has passed now."""
    data, page = _rejection(out, engine)
    if json_file(KIND).is_at(data):
        data.unlink()
        # written together with it, and never over a file of anyone else
        page.unlink(missing_ok=True)


def _rejection(out: Path, engine: str) -> tuple[Path, Path]:
    return out / f"{engine}.rejection.json", out / f"{engine}.rejection.html"


def _write(parity_report: ParityReport, data: Path, page: Path) -> list[Path]:
    parity_report.save(data)
    try:
        from actd.export.parity_page import engine_page
        from actd.report.page import PAGE_FILE
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL:
            raise
        return [data]
    PAGE_FILE.write(engine_page(parity_report), page)
    return [data, page]
