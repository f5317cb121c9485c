"""The operator at the terminal of `actd drive --arm`: one key arms, the same key holds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from actd.client import Operator
from actd.drive.bus_loop import Say
from actd.drive.rest import STANDING
from actd.errors import SEPARATOR, LinkError, UsageError

_STANDING = {mode.name for mode in STANDING}
_ASK = "Enter arms, Enter again holds, Ctrl-C leaves"


def check_terminal() -> None:
    """Raise UsageError where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--arm: asks at a terminal, and this is none; arm with: actd arm")


def start(connect: Callable[[], Operator], say: Say) -> None:
    """Ask until the terminal closes, in a thread that ends with the process."""
    threading.Thread(target=_ask, args=(connect, say), daemon=True, name="prompt").start()


def _ask(connect: Callable[[], Operator], say: Say) -> None:
    operator = connect()
    say(_ASK)
    while sys.stdin.readline():
        try:
            standing = operator.ping().get("mode") in _STANDING
            order = "arm" if standing else "hold"
            answer = operator.request(order)
        except LinkError as error:
            for reason in str(error).split(SEPARATOR):
                say(f"  {reason}")
            say(_ASK)
            continue
        for warning in answer.get("warnings", ()):
            say(f"warning: {warning}")
