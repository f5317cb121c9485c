"""The operator at the terminal of `actd drive --arm`: Enter arms, Enter again holds.

A letter before it scores what the policy does; anything else only holds.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from actd.client import Operator
from actd.drive.bus_loop import Say
from actd.drive.rest import STANDING
from actd.errors import SEPARATOR, LinkError, UsageError

_STANDING = {mode.name for mode in STANDING}
_ASK = "Enter arms, Enter again holds, Ctrl-C leaves"
_EPISODE = {"e": "start", "s": "success", "f": "failure", "d": "discard"}
_SCORES = "e [PLACE] starts an episode; s success, f failure, d discard; each with Enter"


def check_terminal() -> None:
    """Raise UsageError where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--arm: asks at a terminal, and this is none; arm with: actd arm")


def start(
    connect: Callable[[], Operator], say: Say, arming: Literal["arm", "approach"] = "arm"
) -> None:
    """Ask until the terminal closes, in a thread that ends with the process.

    arming: the order that Enter gives to an arm that stands.
    """
    threading.Thread(target=_ask, args=(connect, say, arming), daemon=True, name="prompt").start()


def _ask(connect: Callable[[], Operator], say: Say, arming: str) -> None:
    operator = connect()
    say(_ASK)
    say(_SCORES)
    while line := sys.stdin.readline():
        try:
            answer = _obey(operator, line.split(), arming, say)
        except LinkError as error:
            for reason in str(error).split(SEPARATOR):
                say(f"  {reason}")
            say(_ASK)
            continue
        for warning in answer.get("warnings", ()):
            say(f"warning: {warning}")


def _obey(operator: Operator, words: Sequence[str], arming: str, say: Say) -> dict[str, Any]:
    """Order what was typed; the daemon's answer. Raises LinkError."""
    do = _EPISODE.get(words[0]) if words else None
    if do is not None and (len(words) == 1 or do == "start"):
        answer = operator.episode(do, " ".join(words[1:]))
        say(_said(do, answer["episodes"]))
        return answer
    standing = operator.ping().get("mode") in _STANDING
    if words and standing:
        say(f"{words[0]}: unknown. {_SCORES}")
        return {}
    return operator.request(arming if standing else "hold")


def _said(do: str, episodes: Mapping[str, Any]) -> str:
    number = (episodes["open"] or episodes["last"])["episode"]
    attempts = episodes["success"] + episodes["failure"]
    stands = f"; {episodes['success']} of {attempts} succeeded" if attempts else ""
    return f"episode {number}: {do}{stands}"
