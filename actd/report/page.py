"""One self-contained HTML page of sections, tables and figures.

The file contains its styles and SVG figures, no script and no external address. Figures name
colours as CSS variables of the page (see page.html.j2), which has a light and a dark theme.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from actd.redaction import redact
from actd.report.record import OwnFile

PAGE_FILE = OwnFile("actd", mark='<meta name="generator" content="actd report">', suffix=".html")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; without a header the first column names the row. Numbers are right-aligned
    when `numeric`.
    """

    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()
    title: str = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG element and what it shows. Figures that are not `wide` stand side by side."""

    svg: str
    caption: str
    wide: bool = True


@dataclass(frozen=True, slots=True)
class Instant:
    """What was seen and done at one time: JPEGs by camera (b"" where there was none), a line, and
    each joint's name, measured and commanded position. `mode` colours it; "" where not known.
    """

    label: str
    mode: str
    pictures: Sequence[tuple[str, bytes]]
    text: str
    joints: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Film:
    """Instants of which one is shown, at first `chosen`; a reader steps through them."""

    instants: Sequence[Instant]
    chosen: int


@dataclass(frozen=True, slots=True)
class PageSection:
    """A heading, a note for the reader, and tables, figures and films."""

    title: str
    parts: Sequence[Table | Figure | Film]
    note: str = ""


def page(title: str, lead: str, sections: Sequence[PageSection]) -> str:
    """The whole file as text. All texts are escaped; `Figure.svg` is trusted."""
    template = resources.files("actd.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["trusted"] = Markup
    environment.filters["address"] = _address
    environment.tests["film"] = lambda part: isinstance(part, Film)
    environment.tests["table"] = lambda part: isinstance(part, Table)
    return environment.from_string(template).render(title=title, lead=lead, sections=sections)


def _address(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,") + b64encode(jpeg).decode()


def _shown(value: object) -> object:
    """A text without secrets; what is markup already is a figure's."""
    return redact(value) if type(value) is str else value
