"""The screen of `actd top` and its keys."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Footer, Static

from actd.errors import LinkError
from actd.link.request import as_sent
from actd.top import text
from actd.top.watch import Watch

_LOOK_S = 0.1
_INTERRUPTED = 130
_PARTS = {
    "condition": text.condition,
    "timing": text.timing,
    "cameras": text.cameras,
    "joints": text.joints,
    "events": text.events,
}


class Top(App[None]):
    """Shows a `Watch`, which its caller starts and ends."""

    CSS_PATH = "top.tcss"
    ENABLE_COMMAND_PALETTE = False
    # A narrow terminal has everything below each other.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as textual has it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "order('hold')", "HOLD"),
        Binding("s", "order('stop')", "STOP"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True),
    ]

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def compose(self) -> ComposeResult:
        """The head always on screen, the rest scrolls."""
        yield Static(id="head", markup=False)
        with VerticalScroll(id="body"):
            for column in (("condition", "timing", "cameras"), ("joints", "events")):
                with Vertical():
                    for name in column:
                        yield Static(id=name)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        self.title = "actd top"
        self._look()
        self.set_interval(_LOOK_S, self._look)

    def _look(self) -> None:
        view = self._watch.view()
        head = self.query_one("#head", Static)
        head.update(text.head(view))
        head.set_classes(text.STYLES[text.mode_of(view)])
        self.query_one("#body").set_class(view.lost, "lost")
        for name, table in _PARTS.items():
            try:
                with as_sent():
                    self.query_one(f"#{name}", Static).update(table(view))
            except LinkError as error:
                self.query_one(f"#{name}", Static).update(Text(str(error)))

    @work(thread=True)
    def action_order(self, command: str) -> None:
        """Order it, at once and without a question."""
        self._watch.order(command)

    def action_interrupt(self) -> None:
        """End as Ctrl-C ends everything."""
        self.exit(return_code=_INTERRUPTED)
