"""The status socket: requests that do not move the arm, answered by the daemon's first process.

Orders go to the tick process (see `control_server`). A request that cannot be understood gets an
answer that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actd import crash
from actd.errors import ActdError
from actd.link import messages
from actd.redaction import redacted
from actd.runtime import events
from actd.runtime.event_log import say

Reply = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From the request's map to what is added to `{"ok": True}`. Raises ActdError to refuse."""


class StatusServer:
    """Serves one ROUTER socket; `replies` by command. Every answer has what `identity` has."""

    def __init__(self, replies: Mapping[str, Reply], identity: Mapping[str, Any]) -> None:
        self._replies: dict[str, Reply] = {"ping": lambda _: {}, **replies}
        self._identity = identity

    async def serve(self, socket: Any) -> None:
        """Answer requests, one after the other, until cancelled."""
        while True:
            *route, body = await socket.recv_multipart()
            answer = {**self._identity, **redacted(self._answer(body))}
            await socket.send_multipart([*route, messages.pack_map(answer)])

    def _answer(self, body: bytes) -> dict[str, Any]:
        try:
            request = messages.parse_map(body)
            command = str(request.get("cmd"))
            named = request.get("robot", self._identity["robot"])
            if named != self._identity["robot"]:
                raise ActdError(
                    f"this is robot {self._identity['robot']}, the request is for {named!s:.64}; "
                    "check --config and the ports"
                )
            if command not in self._replies:
                known = ", ".join(self._replies)
                raise ActdError(f"unknown command {command!r:.40}: known here are {known}")
            return {"ok": True, **self._replies[command](request)}
        except ActdError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001  a bad answer must not end the daemon
            say(events.REQUEST_FAILED, f"status: request not answered: {crash.line(error)}")
            return {"ok": False, "error": f"internal error, see the daemon's log: {error!r}"}
