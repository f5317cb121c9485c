"""The control socket, in the process that decides motion: orders in, answers out.

A few requests are read per tick, none is ever waited for. What may not be obeyed is answered at
once; the rest goes to the controller and is answered by the same tick. STOP therefore works
whatever the other processes do.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import zmq

from actd.control.requests import ORDERS, rejection
from actd.control.state import Event
from actd.control.tick import Output
from actd.errors import LinkError
from actd.link import messages
from actd.mode import Mode
from actd.runtime.clock import boottime_ns

_REQUESTS_MAX = 8


class ControlServer:
    """One ROUTER socket. `closing`: the daemon ends, and nothing but STOP is obeyed."""

    def __init__(self, socket: zmq.Socket[bytes], robot: str, boot: str) -> None:
        self._socket = socket
        self._robot = robot
        self._boot = boot
        self._condition: dict[str, Any] = {"mode": Mode.IDLE.name, "reason": ""}
        self._number = 0
        self._waiting: dict[int, list[bytes]] = {}  # routes of orders by their number
        self.closing = False

    def read(self, most: int) -> list[tuple[int, Event]]:
        """Up to `most` orders that may be obeyed, each with its number."""
        orders: list[tuple[int, Event]] = []
        for _ in range(_REQUESTS_MAX):
            if len(orders) == most:
                break
            try:
                *route, body = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            event, error = self._understand(body)
            if event is None or error:
                self._send(route, error)
                continue
            self._number += 1
            self._waiting[self._number] = route
            orders.append((self._number, event))
        return orders

    def answer(self, output: Output) -> None:
        """Tell those who ordered what became of it."""
        self._condition = {"mode": output.mode.name, "reason": output.reason}
        if output.move is not None:
            share, left_ns = output.move
            self._condition["move"] = {"share": share, "left_s": left_ns / 1e9}
        for number, error, warnings in output.answers:
            route = self._waiting.pop(number, None)
            if route is not None:
                self._send(route, error, list(warnings))

    def _understand(self, body: bytes) -> tuple[Event | None, str]:
        try:
            request = messages.parse_map(body)
        except LinkError as error:
            return None, str(error)
        command = str(request.get("cmd"))
        if command == "ping":
            return None, ""
        event = ORDERS.get(command)
        if event is None:
            return (
                None,
                f"unknown command {command!r:.40}: known here are ping, {', '.join(ORDERS)}",
            )
        if self.closing and event is not Event.STOP:
            return event, "the daemon is ending; start it again"
        return event, rejection(event, request, self._robot, boottime_ns())

    def _send(self, route: list[bytes], error: str, warnings: list[str] | None = None) -> None:
        body: dict[str, Any] = {
            "ok": not error,
            "robot": self._robot,
            "boot": self._boot,
            "stamp_ns": boottime_ns(),
            **self._condition,
        }
        if error:
            body["error"] = error
        if warnings:
            body["warnings"] = warnings
        with suppress(zmq.ZMQError):  # whoever asked may be gone
            self._socket.send_multipart([*route, messages.pack_map(body)], zmq.DONTWAIT)
