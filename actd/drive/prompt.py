"""The operator at the terminal of `actd drive --arm`: Enter arms, Enter again holds.

A letter before it lets the leader take over, or scores what the policy does; anything else only
holds.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from actd.client import Mode, Operator
from actd.drive.bus_loop import Say
from actd.drive.rest import STANDING
from actd.errors import SEPARATOR, LinkError, UsageError

Arming = Literal["arm", "approach"]
_STANDING = {mode.name for mode in STANDING}
_ASK = "Enter arms, Enter again holds, Ctrl-C leaves"
_ASK_LED = "Enter arms, Enter again holds, t Enter takes over or gives back, Ctrl-C leaves"
_TAKEOVER = ["t"]
_EPISODE = {"e": "start", "s": "success", "f": "failure", "d": "discard"}
_SCORES = "e [PLACE] starts an episode; s success, f failure, d discard; each with Enter"


class _Keys(NamedTuple):
    """`arming`: the order that Enter gives to an arm that stands; `help`: what may be typed."""

    arming: Arming
    help: str


def check_terminal() -> None:
    """Raise UsageError where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--arm: asks at a terminal, and this is none; arm with: actd arm")


def start(
    connect: Callable[[], Operator], say: Say, arming: Arming = "arm", *, leader: bool = False
) -> None:
    """Ask until the terminal closes, in a thread that ends with the process.

    arming: the order that Enter gives to an arm that stands. leader: one may take over.
    """
    keys = _Keys(arming, _ASK_LED if leader else _ASK)
    threading.Thread(target=_ask, args=(connect, say, keys), daemon=True, name="prompt").start()


def _ask(connect: Callable[[], Operator], say: Say, keys: _Keys) -> None:
    operator = connect()
    say(keys.help)
    say(_SCORES)
    while line := sys.stdin.readline():
        try:
            answer = _obey(operator, line.split(), keys, say)
        except LinkError as error:
            for reason in str(error).split(SEPARATOR):
                say(f"  {reason}")
            say(keys.help)
            continue
        for warning in answer.get("warnings", ()):
            say(f"warning: {warning}")


def _obey(operator: Operator, words: Sequence[str], keys: _Keys, say: Say) -> dict[str, Any]:
    """Order what was typed; the daemon's answer. Raises LinkError."""
    do = _EPISODE.get(words[0]) if words else None
    if do is not None and (len(words) == 1 or do == "start"):
        answer = operator.episode(do, " ".join(words[1:]))
        say(_said(do, answer["episodes"]))
        return answer
    mode = operator.ping().get("mode")
    if words == _TAKEOVER:
        return operator.request("arm" if mode == Mode.TAKEOVER.name else "takeover")
    if words and mode in _STANDING:
        say(f"{words[0]}: unknown. {keys.help}; {_SCORES}")
        return {}
    return operator.request(keys.arming if mode in _STANDING else "hold")


def _said(do: str, episodes: Mapping[str, Any]) -> str:
    episode = episodes["open"] or episodes["last"]
    place = f" at place {episode['place']}" if episode["place"] else ""
    attempts = episodes["success"] + episodes["failure"]
    stands = f"; {episodes['success']} of {attempts} succeeded" if attempts else ""
    return f"episode {episode['episode']}{place}: {do}{stands}"
