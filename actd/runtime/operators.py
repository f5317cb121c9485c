"""The control socket: operators' requests in, verdicts out.

Motion commands go to the tick process, which decides and answers; everything else is
answered here. A request that cannot be understood gets an answer that says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from actd.control.state import Event
from actd.errors import ActdError
from actd.link import messages
from actd.runtime.blocks import Blocks
from actd.runtime.clock import now_ns

log = logging.getLogger("actd")

_ANSWER_TIMEOUT_S = 1.0
_EVENTS = {event.value: event for event in (Event.ARM, Event.HOLD, Event.STOP, Event.RESET)}

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From the request's map to what is added to `{"ok": True}`. Raises ActdError to refuse."""


class Operators:
    """Serves one control socket; `answers` are the commands that do not move the arm."""

    def __init__(self, blocks: Blocks, answers: Mapping[str, Answer]) -> None:
        self._blocks = blocks
        self._answers = {"ping": lambda _: {}, **answers}

    async def serve(self, socket: Any) -> None:
        """Answer requests, one after the other, until cancelled."""
        while True:
            *route, body = await socket.recv_multipart()
            await socket.send_multipart([*route, messages.pack_map(await self._answer(body))])

    async def _answer(self, body: bytes) -> dict[str, Any]:
        try:
            request = messages.parse_map(body)
            command = str(request.get("cmd"))
            if command in _EVENTS:
                await self._operate(_EVENTS[command])
                return {"ok": True}
            if command in self._answers:
                return {"ok": True, **self._answers[command](request)}
            known = ", ".join([*_EVENTS, *self._answers])
            raise ActdError(f"unknown command {command!r}: known are {known}")
        except ActdError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # a bad answer must not end motion
            log.exception("operator: request not answered")
            return {"ok": False, "error": f"internal error, see the daemon's log: {error!r}"}

    async def _operate(self, event: Event) -> None:
        """Hand one command to the tick process and wait for its verdict."""
        before = self._blocks.answers.newest
        number = self._blocks.commands.write((str(event.value).encode(),))
        deadline_ns = now_ns() + round(_ANSWER_TIMEOUT_S * 1e9)
        while now_ns() < deadline_ns:
            for _, answer in self._blocks.answers.since(before):
                if answer["command"] == number:
                    refusal = bytes(answer["error"]).decode(errors="replace")
                    log.info("operator: %s: %s", event.value, refusal or "done")
                    if refusal:
                        raise ActdError(refusal)
                    return
            await asyncio.sleep(0.002)
        raise ActdError(f"the tick process did not answer in {_ANSWER_TIMEOUT_S:g} s")
