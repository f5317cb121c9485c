"""The daemon's log: one line per event, whose id leads to its cause and remedy in docs/events.md.

On a terminal, or wherever stderr goes, a line of text; under systemd an entry of the journal with
fields. No secrets leave, and what repeats is counted. The supervisor's process only.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from actd import crash
from actd.errors import SEPARATOR, ActdError
from actd.redaction import redact
from actd.runtime import journal
from actd.runtime.clock import now_ns
from actd.runtime.events import DAEMON_FAILED, LIBRARY_MESSAGE, Event
from actd.runtime.repetition import Repetition

_log = logging.getLogger("actd")
# As sd-daemon(3) numbers them.
_PRIORITIES = {
    logging.CRITICAL: "2",
    logging.ERROR: "3",
    logging.WARNING: "4",
    logging.INFO: "6",
    logging.DEBUG: "7",
}
_NUMBER = re.compile(r"\b[0-9.]+\b")


@dataclass(frozen=True, slots=True)
class _Line:
    event: Event
    level: int
    text: str
    fields: tuple[tuple[str, str], ...]


_repetition: Repetition[_Line] = Repetition()


def say(
    event: Event, text: str, *, level: int | None = None, always: bool = False, **fields: object
) -> None:
    """Log `text` as this event, at its level unless another is given; `always`: however often it
    repeats.

    `fields` become the journal's: `camera="top"` is ACTD_CAMERA=top; "" and None are left out.
    """
    shown = tuple([(name, str(value)) for name, value in fields.items() if value not in (None, "")])
    line = _Line(event, level or event.level, text, shown)
    # The same again has other numbers in it.
    more = (
        0
        if always
        else _repetition.take((event.id, line.level, _NUMBER.sub("", text)), line, now_ns())
    )
    if more is not None:
        _emit(line, more)


def say_repeated(*, whatever: bool = False) -> None:
    """Log what was kept back, where that is due. To be called every second or so."""
    for line, more in _repetition.due(now_ns(), whatever=whatever):
        _emit(line, more)


@contextmanager
def installed() -> Iterator[Log]:
    """Meanwhile what is said, and what libraries log, goes to the journal or to stderr.

    Under systemd an exception becomes an event too, and SystemExit with the code that it stands
    for; the command line says it otherwise.
    """
    log = Log(sys.stderr)
    logging.basicConfig(level=logging.INFO, handlers=[log], force=True)
    try:
        yield log
    except Exception as error:
        if not log.native:
            raise
        if isinstance(error, ActdError):
            lines, code = str(error).splitlines(), error.exit_code
        else:
            lines, code = [crash.line(error)], crash.EXIT_CODE
        for text in lines:
            say(DAEMON_FAILED, text)
        raise SystemExit(code) from None
    finally:
        logging.getLogger().removeHandler(log)


def _emit(line: _Line, more: int) -> None:
    counted = f" ({more} more since it was last said)" if more else ""
    fields = dict(line.fields) | ({"repeated": str(more)} if more else {})
    extra = {"event": line.event, "fields": fields}
    _log.log(line.level, "%s%s", line.text, counted, extra=extra)


class Log(logging.StreamHandler[TextIO]):
    """Sends entries to journald where `stream` is its; where it takes none, and anywhere else, a
    line of text goes to `stream`. `robot` is its name, "" until it is known.
    """

    def __init__(self, stream: TextIO, *, address: str = journal.SOCKET) -> None:
        super().__init__(stream)
        self.robot = ""
        self.native = _is_journal(stream)
        self._address = address
        # The journal has time and priority of every entry itself.
        stamp = "" if self.native else "%(asctime)s %(levelname)s "
        self.setFormatter(_Formatter(f"{stamp}%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises."""
        if not self.native or not self._sent(record):
            super().emit(record)

    def _sent(self, record: logging.LogRecord) -> bool:
        event = _event(record)
        fields = {"event": event.id, "robot": self.robot, **getattr(record, "fields", {})}
        try:
            entry = {
                "MESSAGE": self.format(record),
                "PRIORITY": _PRIORITIES.get(record.levelno, "6"),
                "SYSLOG_IDENTIFIER": "actd",
                "MESSAGE_ID": event.message_id,
                **{f"ACTD_{name.upper()}": redact(value) for name, value in fields.items()},
            }
            journal.send(entry, self._address)
        except OSError:
            return False
        return True


class _Formatter(crash.LogFormatter):
    def format(self, record: logging.LogRecord) -> str:
        text = SEPARATOR.join(super().format(record).splitlines())
        return f"{text} [{_event(record).id}]"


def _is_journal(stream: TextIO) -> bool:
    try:
        return journal.is_journal(stream.fileno())
    except (OSError, ValueError):  # not a file, or a closed one
        return False


def _event(record: logging.LogRecord) -> Event:
    """A record that a library made has none of its own."""
    event: Event = getattr(record, "event", LIBRARY_MESSAGE)
    return event
