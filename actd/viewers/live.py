"""What a running daemon says, passed on to a viewer.

Commands and timing are the actions on the wire, every one. Measured positions, ages and pictures
come from the dashboard, whose process reads them out of shared memory: asking the daemon itself
as often would cost it more than its own work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import zmq.asyncio

from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.messages import Action
from actd.link.request import START, as_sent
from actd.viewers.sink import ACTION, AGES, STATE, TICK, Sink

SILENCE_S = 3.0
_LOOK_S = 0.05
_RETRY_S = 2.0
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_NOTHING_THERE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a daemon's data come from. `robot`: whose, "": anyone's; `dashboard`: its address;
    `fps`: pictures a second of each camera, 0 for none.
    """

    host: str
    ports: sockets.Ports
    robot: str
    dashboard: str
    fps: float


async def stream(source: Source, sink: Sink, say: Callable[[str], object]) -> None:
    """Pass on until cancelled; `say` is told what is missing.

    Raises LinkError where nothing comes within three seconds of the start, or another's actions.
    """
    context = zmq.asyncio.Context()
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            actions = asyncio.create_task(_pass_actions(context, source, sink, say))
            page = asyncio.create_task(_Page(source, sink, say, session).pass_on())
            try:
                await asyncio.gather(actions, page)
            finally:
                for task in (actions, page):
                    task.cancel()
                    with suppress(asyncio.CancelledError, LinkError):
                        await task
    finally:
        context.destroy(linger=0)


async def _pass_actions(
    context: zmq.asyncio.Context, source: Source, sink: Sink, say: Callable[[str], object]
) -> None:
    address = sockets.endpoint(source.host, source.ports.actions)
    last: Action | None = None
    silent = False
    socket: Any = sockets.every(context, address)
    with socket:
        while True:
            if not await socket.poll(round(SILENCE_S * 1000)):
                if last is None:
                    raise LinkError(f"{address}: nothing for {SILENCE_S:g} s; {START}")
                if not silent:
                    silent = True
                    say(f"{address}: no action for {SILENCE_S:g} s; waiting for the next")
                continue
            action = messages.parse_action(await socket.recv())
            if source.robot not in ("", action.robot):
                raise LinkError(
                    f"{address}: these are {action.robot or 'nameless'}'s actions, not "
                    f"{source.robot}'s; check --config and the ports"
                )
            if silent:
                silent = False
                say("actions come again")
            _pass(action, last, sink)
            last = action


def _pass(action: Action, last: Action | None, sink: Sink) -> None:
    t_ns = round(action.t * 1e9)
    if last is None or (last.mode, last.reason) != (action.mode, action.reason):
        sink.event(action.mode, ": ".join(filter(None, (action.mode.name, action.reason))), t_ns)
    if action.action:
        sink.numbers(ACTION, action.action, t_ns)
    numbers: dict[str, float] = {
        "mode": action.mode,
        "chunk": action.chunk,
        "n": action.n,
        "flags": action.flags,
        "late_us": action.late_us,
        "infer_ms": action.infer_ms,
    }
    if action.age_ms >= 0:
        numbers["age_ms"] = action.age_ms
    sink.numbers(TICK, numbers, t_ns)


class _Page:
    """The dashboard's part: it may come and go, and the daemon may be without one."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        say: Callable[[str], object],
        session: aiohttp.ClientSession,
    ) -> None:
        self._source, self._sink, self._say, self._session = source, sink, say, session
        self._cameras: dict[str, asyncio.Task[None]] = {}
        self._said = False

    async def pass_on(self) -> None:
        """Until cancelled."""
        try:
            while True:
                begin = time.monotonic()
                try:
                    await self._look()
                except _NOTHING_THERE as error:
                    if not self._said:
                        self._said = True
                        self._say(
                            f"{self._source.dashboard}: no dashboard, so neither measured "
                            f"positions nor pictures ({type(error).__name__}); give "
                            "`dashboard: {enabled: true}` in actd.yaml, or --dashboard"
                        )
                    await asyncio.sleep(_RETRY_S)
                await asyncio.sleep(max(0.0, begin + _LOOK_S - time.monotonic()))
        finally:
            for task in self._cameras.values():
                task.cancel()

    async def _look(self) -> None:
        async with self._session.get(f"{self._source.dashboard}/live.json") as answer:
            live: Mapping[str, Any] = await answer.json()
        if answer.status != 200:
            raise LinkError(f"{self._source.dashboard}: {live.get('errors', answer.status)}")
        t_ns = time.time_ns()
        with as_sent():
            if self._source.robot not in ("", live["robot"]):
                raise LinkError(
                    f"{self._source.dashboard}: this is {live['robot']}, not {self._source.robot}; "
                    "check --dashboard"
                )
            measured = {each["name"]: each["measured"] for each in live["joints"]}
            ages = {name: camera["age_ms"] for name, camera in live["cameras"].items()}
        for topic, values in ((STATE, measured), (AGES, ages)):
            known = {name: value for name, value in values.items() if value is not None}
            if known:
                self._sink.numbers(topic, known, t_ns)
        if self._source.fps > 0:
            for name in ages.keys() - self._cameras.keys():
                self._cameras[name] = asyncio.create_task(self._pass_pictures(name))

    async def _pass_pictures(self, camera: str) -> None:
        period_s = 1 / self._source.fps
        last_ns = 0
        while True:
            begin = time.monotonic()
            with suppress(*_NOTHING_THERE):
                address = f"{self._source.dashboard}/camera/{camera}.jpg"
                async with self._session.get(address) as answer:
                    if answer.status == 200:
                        jpeg = await answer.read()
                        t_ns = time.time_ns() - round(float(answer.headers["X-Age-Ms"]) * 1e6)
                        # The same picture again would be dated anew.
                        if t_ns - last_ns > 1_000_000:
                            self._sink.picture(camera, jpeg, t_ns)
                            last_ns = t_ns
            await asyncio.sleep(max(0.0, begin + period_s - time.monotonic()))
