"""The daemon's first process: starts the others, answers operators, tells the world.

In: a deployment and its engine's manifest, operators' requests (ROUTER 9874), records of
ticks and plans. Out: status answers, telemetry (PUB 9873), the service manager's READY,
STATUS and WATCHDOG. It is never in the path of a command: while it is busy, or gone, ticks
go on. A camera or the inference process that dies is restarted, motion is not: that is
the operator's. Without the tick process there is no daemon, and it ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from dataclasses import asdict
from typing import Any

import uvloop
import zmq.asyncio

from actd import __version__
from actd.config import Config
from actd.control.state import Event
from actd.engine.manifest import Manifest
from actd.errors import ActdError
from actd.link import messages, sockets
from actd.mode import Mode
from actd.observe.cadence import Cadence
from actd.runtime import settings
from actd.runtime.blocks import Shapes, open_blocks
from actd.runtime.children import Child, describe
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.notify import Notifier

log = logging.getLogger("actd")

_DRAIN_S = 0.1
_TELEMETRY_S = 1.0
_ANSWER_TIMEOUT_S = 1.0
_TICK_END_S = 3.0
_OTHERS_END_S = 2.0
_START_LIMIT_S = 60.0

_OPERATOR_EVENTS = {
    event.value: event for event in (Event.ARM, Event.HOLD, Event.STOP, Event.RESET)
}


def run(config: Config, manifest: Manifest) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises ActdError when it cannot go on."""
    uvloop.run(Supervisor(config, manifest).run())


class Supervisor:
    """One daemon. `run` it once."""

    def __init__(self, config: Config, manifest: Manifest) -> None:
        self._config = config
        self._manifest = manifest
        self._spec = spec = manifest.policy_spec()
        sizes = {f.camera: (f.boundary_shape[0], f.boundary_shape[1]) for f in spec.cameras}
        self._shapes = Shapes(
            cameras=sizes,
            chunk_size=spec.chunk_size,
            action_dim=spec.action_dim,
            state_dim=settings.dims(spec, "STATE"),
            env_dim=settings.dims(spec, "ENV"),
        )
        self._blocks = open_blocks(self._shapes)
        self._cadence = Cadence(config.control.rate_hz)
        self._notifier = Notifier.from_env()
        self._started_ns = now_ns()
        self._ready = False
        available = frozenset(os.sched_getaffinity(0))
        self._threads = config.process.inference_threads or len(available)
        self._tick_cores, others = settings.share_cores(available, self._threads)
        os.sched_setaffinity(0, others)  # children inherit it; the tick binds itself
        self._tick = self._make_tick()
        self._inference = self._make_inference()
        self._cameras = {name: self._make_camera(name) for name in sizes}
        self._seen = {"tick": 0, "plan": 0}
        self._frames_from: dict[str, tuple[int, int, int]] = {}
        self._over: asyncio.Future[None]

    async def run(self) -> None:
        """Start everything, serve until told to end, end everything."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._finish, None)
        context = zmq.asyncio.Context()
        tasks: list[asyncio.Task[Any]] = []
        try:
            host, ports = self._config.link.host, self._config.link.ports
            control = sockets.control_server(context, sockets.endpoint(host, ports.control))
            telemetry = sockets.telemetry_publisher(
                context, sockets.endpoint(host, ports.telemetry)
            )
            work = (
                self._watch_tick(),
                self._watch_inference(),
                *(camera.run() for camera in self._cameras.values()),
                self._serve(control),
                self._observe(telemetry),
                self._keep_alive(),
            )
            tasks = [asyncio.create_task(coroutine) for coroutine in work]
            for task in tasks:
                task.add_done_callback(self._task_done)
            await self._over
        finally:
            self._notifier.stopping()
            log.info("stopping: ramping to rest")
            await self._tick.end(_TICK_END_S)
            others = (self._inference, *self._cameras.values())
            await asyncio.gather(*(child.end(_OTHERS_END_S) for child in others))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            context.destroy(linger=0)
            log.info("stopped")

    def _finish(self, error: BaseException | None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._finish(task.exception())

    # --- children

    def _make_tick(self) -> Child:
        job = {
            "tick": settings.tick_job(self._config, self._spec, self._tick_cores),
            "control": settings.control_job(self._config, self._spec),
            "shapes": asdict(self._shapes),
            "fds": self._blocks.fds,
        }
        return Child("tick", "tick", job, restart=False)

    def _make_inference(self) -> Child:
        process, stale = self._config.process, self._config.staleness
        job = {
            "engine": str(self._config.engine),
            "threads": self._threads,
            "nice": process.inference_nice,
            "camera_max_age_ns": round(stale.camera_ms * 1e6),
            "state_max_age_ns": round(stale.state_ms * 1e6),
            "min_interval_ns": round(1e9 / self._config.control.rate_hz),
            "shapes": asdict(self._shapes),
            "fds": self._blocks.fds,
        }
        return Child("inference", "inference", job, restart=True, on_death=self._disengage)

    def _make_camera(self, name: str) -> Child:
        stream = f"frame:{name}"
        job = {
            "camera": name,
            "nice": self._config.process.camera_nice,
            "size": self._shapes.cameras[name],
            "config": self._config.cameras[name].model_dump(),
            "fds": {stream: self._blocks.fds[stream]},
        }
        return Child(f"camera {name}", "camera", job, restart=True, on_death=self._disengage)

    def _disengage(self) -> None:
        """A process died: motion ends here, and its restart must not bring it back."""
        self._blocks.commands.write((str(Event.FAULT.value).encode(),))

    async def _watch_tick(self) -> None:
        why = await self._tick.run()
        if why:
            raise ActdError(f"the tick process ended: {why}")

    async def _watch_inference(self) -> None:
        why = await self._inference.run()
        if why and "warm" not in self._inference.ever:
            raise ActdError(f"the engine could not be started: {why}")

    # --- operators

    async def _serve(self, socket: Any) -> None:
        while True:
            *route, body = await socket.recv_multipart()
            await socket.send_multipart([*route, messages.pack_map(await self._answer(body))])

    async def _answer(self, body: bytes) -> dict[str, Any]:
        try:
            command = str(messages.parse_map(body).get("cmd"))
            if command in _OPERATOR_EVENTS:
                await self._operate(_OPERATOR_EVENTS[command])
            elif command == "clear":
                self._clear()
            answers = {"hello": self._hello, "status": self.status}
            if command in answers:
                return {"ok": True, **answers[command]()}
            if command not in {*_OPERATOR_EVENTS, "clear", "ping"}:
                known = ", ".join(["hello", "status", *_OPERATOR_EVENTS, "clear", "ping"])
                raise ActdError(f"unknown command {command!r}: known are {known}")
        except ActdError as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True}

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

    def _clear(self) -> None:
        self._drain()
        self._cadence.clear()
        self._frames_from = {
            name: (ring.newest, ring.peek("t_capture_ns") or 0, ring.peek("drops") or 0)
            for name, ring in self._blocks.frames.items()
        }

    def _hello(self) -> dict[str, Any]:
        config, spec = self._config, self._spec
        return {
            "actd": __version__,
            "schema": messages.VERSION,
            "joints": list(config.robot.joints),
            "state": config.robot.state_names,
            "units": config.robot.units,
            "rate_hz": config.control.rate_hz,
            "policy_hz": config.control.policy_hz or config.control.rate_hz,
            "chunk_size": spec.chunk_size,
            "plan_mode": settings.plan_mode(config, spec),
            "cameras": {name: list(size) for name, size in self._shapes.cameras.items()},
            "engine": self._manifest.engine,
            "engine_sha256": {file.name: file.sha256 for file in self._manifest.files},
            "ttl_ms": config.link.ttl_ms,
        }

    def status(self) -> dict[str, Any]:
        """Everything an operator asks for; statistics since ready or the last `clear`."""
        self._drain()
        latest = self._blocks.ticks.latest()
        mode, state_age_ms, listeners = "STARTING", None, 0
        if latest is not None:
            record = latest[1]
            mode = Mode(int(record["mode"])).name
            listeners = int(record["listeners"])
            if record["state_age_ns"] >= 0:
                state_age_ms = int(record["state_age_ns"]) / 1e6
        inference = self._cadence.inference()
        return {
            "mode": mode,
            "ready": self._ready,
            "uptime_s": (now_ns() - self._started_ns) / 1e9,
            "control": self._cadence.control(),
            "inference": {
                "engine": self._manifest.engine,
                "state": describe(self._inference.condition),
                "restarts": self._inference.restarts,
                **inference,
            },
            "cameras": {name: self._camera_status(name) for name in self._cameras},
            "state_age_ms": state_age_ms,
            "listeners": listeners,
            "realtime": self._tick.condition.get("realtime", {}),
        }

    def _camera_status(self, name: str) -> dict[str, Any]:
        ring, camera = self._blocks.frames[name], self._cameras[name]
        t_ns = ring.peek("t_capture_ns")
        count, since_ns, drops = self._frames_from.get(name, (0, 0, 0))
        fps = 0.0
        if t_ns is not None and since_ns and t_ns > since_ns:
            fps = (ring.newest - count) * 1e9 / (t_ns - since_ns)
        return {
            "state": describe(camera.condition),
            "fps": round(fps, 2),
            "drops": (ring.peek("drops") or 0) - drops,
            "age_ms": None if t_ns is None else (now_ns() - t_ns) / 1e6,
            "restarts": camera.restarts,
        }

    # --- the world outside

    def _drain(self) -> None:
        for number, record in self._blocks.ticks.since(self._seen["tick"]):
            self._seen["tick"] = number
            self._cadence.tick(record)
        for number, record in self._blocks.plans.since(self._seen["plan"]):
            self._seen["plan"] = number
            self._cadence.plan(record)

    async def _observe(self, socket: Any) -> None:
        published_ns = 0
        while True:
            self._drain()
            if not self._ready and self._is_ready():
                self._ready = True
                self._clear()
                self._notifier.ready(self._status_line())
                log.info("ready: %s", self._status_line())
            if now_ns() - published_ns >= _TELEMETRY_S * 1e9:
                published_ns = now_ns()
                body = messages.pack_map({"t": unix_s(), **self.status()})
                await socket.send_multipart([b"status", body])
                if self._ready:
                    self._notifier.status(self._status_line())
                elif now_ns() - self._started_ns < _START_LIMIT_S * 1e9:
                    self._notifier.extend_timeout(2 * _START_LIMIT_S)
                    self._notifier.status(f"starting; {self._status_line()}")
            await asyncio.sleep(_DRAIN_S)

    def _is_ready(self) -> bool:
        return (
            self._blocks.ticks.newest > 0
            and "warm" in self._inference.ever
            and all(ring.newest for ring in self._blocks.frames.values())
        )

    def _status_line(self) -> str:
        status = self.status()
        control, inference = status["control"], status["inference"]
        cameras = " ".join(
            f"{name} {camera['fps']:.0f} fps" if camera["state"] == "ok" else f"{name} DOWN"
            for name, camera in status["cameras"].items()
        )
        return (
            f"{status['mode']} {control['rate_hz']:.1f}/{control['target_hz']:g} Hz, "
            f"late p99 {control['lateness_us']['p99']:.0f} us, missed {control['missed']}, "
            f"{inference['engine']} {inference['ms']['p50']:.0f} ms ({inference['state']}), "
            f"{cameras}"
        )

    async def _keep_alive(self) -> None:
        """Feed the watchdog only while ticks advance."""
        interval_ns = self._notifier.watchdog_interval_ns
        if interval_ns is None:
            return
        last = -1
        while True:
            newest = self._blocks.ticks.newest
            # Before the first tick there is nothing to watch yet; starting has its own limit.
            if newest > last:
                self._notifier.watchdog()
            last = newest if newest else -1
            await asyncio.sleep(interval_ns / 2e9)
