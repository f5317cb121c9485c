"""The screen of `actd top` and its keys."""

from __future__ import annotations

import asyncio
import signal
from typing import ClassVar

from rich.table import Table
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
_COLUMNS = (("condition", "timing", "cameras"), ("joints", "events"))


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
        # Held rather than looked up: while the screen is taken down they are no longer found.
        self._head = Static(id="head", markup=False)
        self._body = VerticalScroll(id="body")
        self._parts = {name: Static(id=name) for name in _PARTS}

    def compose(self) -> ComposeResult:
        """The head always on screen, the rest scrolls."""
        yield self._head
        with self._body:
            for column in _COLUMNS:
                with Vertical():
                    for name in column:
                        yield self._parts[name]
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        self.title = "actd top"
        for number in (signal.SIGTERM, signal.SIGHUP):
            # The terminal is given back as it was.
            asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        self._look()
        self.set_interval(_LOOK_S, self._look)

    def _look(self) -> None:
        view = self._watch.view()
        self._head.update(text.head(view))
        self._head.set_classes(text.STYLES[text.mode_of(view)])
        self._body.set_class(view.lost, "lost")
        for name, part in self._parts.items():
            content: Table | Text
            try:
                with as_sent():
                    content = _PARTS[name](view)
            except LinkError as error:
                content = Text(str(error))
            part.update(content)

    @work(thread=True)
    def action_order(self, command: str) -> None:
        """Order it, at once and without a question."""
        self._watch.order(command)

    def action_interrupt(self) -> None:
        """End as Ctrl-C ends everything."""
        self.exit(return_code=_INTERRUPTED)
