"""The daemon's first process: starts the others, answers questions, tells the service manager.

In: a deployment and its engine's manifest, requests for status (ROUTER 9873), records of
ticks and chunks. Out: answers, the service manager's READY, STATUS and WATCHDOG. It is never in
the path of a command or an order: while it is busy ticks go on, and STOP works. A camera or the
inference process that dies is restarted, motion is not: that is the operator's. Without the
tick process there is no daemon, and it ends; when it ends, the tick process ramps to rest.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop
import zmq.asyncio

from actd.config import Config, changed_keys, load
from actd.config.checks import LONGEST_STOP_S
from actd.engine.manifest import Manifest, read_manifest
from actd.errors import ActdError, LinkError, RecordingError
from actd.link import sockets
from actd.runtime import events, realtime, settings
from actd.runtime.channels import open_channels
from actd.runtime.clock import now_ns
from actd.runtime.dataset_recording import Recording
from actd.runtime.episode_orders import EpisodeOrders
from actd.runtime.episodes import Episodes
from actd.runtime.event_log import say, say_repeated
from actd.runtime.notify import Notifier
from actd.runtime.process import say_realtime
from actd.runtime.processes import make_processes, shapes_of
from actd.runtime.status_server import StatusServer
from actd.runtime.telemetry import Telemetry

_DRAIN_S = 0.1
_NOTIFY_S = 1.0
# The longest ramp that `config check` allows, and the STOP messages after it.
_TICK_END_S = LONGEST_STOP_S + 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_OTHERS_END_S = 2.0
_START_LIMIT_S = 60.0
# An engine may be compiled for this computer when it is first loaded, which takes minutes.
_LOAD_LIMIT_S = 900.0
_SILENT_NS = 1_000_000_000
_STUCK_LOOKS = 90


def run(path: Path, config: Config, manifest: Manifest) -> None:
    """Run the daemon of the deployment file at `path` until SIGTERM or SIGINT.

    Raises ActdError when it cannot go on.
    """
    uvloop.run(Supervisor(path, config, manifest).run())


class Supervisor:
    """One daemon. `run` it once."""

    def __init__(self, path: Path, config: Config, manifest: Manifest) -> None:
        self._path = path
        self._config = config
        self._manifest = manifest
        shapes = shapes_of(manifest)
        self._channels = open_channels(shapes)
        self._notifier = Notifier.from_env()
        share = settings.share_cores(config)
        settled = realtime.settle(settings.placement(config, share, "supervisor"))
        say_realtime("supervisor", settled)
        boot = secrets.token_hex(8)
        self._processes = make_processes(
            config, manifest, shapes, self._channels, share, boot=boot, path=path
        )
        episodes = Episodes()
        self._recording = Recording(config, manifest, shapes, self._channels, share, episodes)
        self._episodes = EpisodeOrders(
            episodes, self._channels, self._processes.flight, self._recording
        )
        self._telemetry = Telemetry(
            config, manifest, self._channels, self._processes, settled, entered=self._episodes.enter
        )
        self._server = StatusServer(
            {
                "hello": lambda _: self._telemetry.hello(),
                "status": lambda _: self._status(),
                "histograms": lambda _: dict(self._telemetry.histograms()),
                "clear": lambda _: self._clear(),
                "changes": lambda _: self._changes(),
                "record": self._recording.answer,
                "keep": lambda _: self._keep(),
                "episode": self._episode,
            },
            {"robot": config.robot.name, "boot": boot},
        )
        self._over: asyncio.Future[None]

    async def run(self) -> None:
        """Start everything, serve until told to end, end everything."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under `nohup`
                loop.add_signal_handler(number, self._finish, None)
        context = zmq.asyncio.Context()
        requests = self._listen(context)
        tasks: list[asyncio.Task[Any]] = []
        try:
            work = (
                self._watch_tick(),
                self._watch_inference(),
                *(camera.run() for camera in self._processes.cameras.values()),
                *(watcher.run() for watcher in self._processes.watchers),
                self._server.serve(requests),
                self._observe(),
                self._keep_alive(),
            )
            tasks = [asyncio.create_task(coroutine) for coroutine in work]
            for task in tasks:
                task.add_done_callback(self._task_done)
            await self._over
        finally:
            self._notifier.stopping()
            say(events.STOPPING, "stopping: ramping to rest")
            self._episodes.end()
            for child in self._processes.others:
                child.may_end()
            await self._processes.tick.end(_TICK_END_S)
            await asyncio.gather(
                self._recording.end(),
                *(child.end(_OTHERS_END_S) for child in self._processes.others),
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            context.destroy(linger=0)
            self._telemetry.drain()
            say_repeated(whatever=True)
            say(events.STOPPED, "stopped")
            # Another Ctrl-C must not end the interpreter's own end by a signal.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _listen(self, context: zmq.asyncio.Context) -> zmq.Socket[bytes]:
        """Raises LinkError where another daemon has the port, before anything is started."""
        link = self._config.link
        try:
            return sockets.request_server(context, sockets.endpoint(link.host, link.ports.status))
        except LinkError:
            context.destroy(linger=0)
            raise

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

    async def _watch_tick(self) -> None:
        why = await self._processes.tick.run()
        if why:
            raise ActdError(f"the tick process ended: {why}")

    async def _watch_inference(self) -> None:
        why = await self._processes.inference.run()
        if why and "warm" not in self._processes.inference.ever:
            raise ActdError(f"the engine could not be started: {why}")

    def _status(self) -> dict[str, Any]:
        return self._telemetry.status() | {
            "recording": self._recording.status(),
            "episodes": self._episodes.status(),
        }

    def _episode(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._telemetry.drain()  # whatever the policy did before this order comes first
        return self._episodes.answer(request)

    def _clear(self) -> dict[str, Any]:
        self._telemetry.clear()
        return {}

    def _keep(self) -> dict[str, Any]:
        """Have the pictures saved; `order` is the number of this one. Raises RecordingError."""
        if self._processes.pictures is None:
            raise RecordingError(
                "no pictures are kept: set keep.enabled and flight.enabled (a policy without "
                "cameras has none), and start the daemon again"
            )
        return {"order": self._channels.keeps.write((now_ns(),))}

    def _changes(self) -> dict[str, Any]:
        """What the file says by now that this run does not do."""
        config = load(self._path)
        keys = changed_keys(self._config, config)
        if "engine" not in keys and read_manifest(config.engine).files != self._manifest.files:
            keys.append("the files of the engine")
        return {"keys": keys}

    async def _observe(self) -> None:
        telemetry, notifier = self._telemetry, self._notifier
        notified_ns = silent_looks = warm_ns = 0
        up = False
        while True:
            telemetry.drain()
            # Looks are counted, not time: the whole daemon may have been stopped meanwhile.
            silent_looks = silent_looks + 1 if telemetry.inference_silent_ns > _SILENT_NS else 0
            if silent_looks >= _STUCK_LOOKS:
                self._processes.inference.kill("stuck")
                silent_looks = 0
            if not telemetry.ready and self._is_ready():
                telemetry.ready = up = True
                telemetry.clear()
                notifier.ready(telemetry.line())
                say(events.READY, f"ready: {telemetry.line()}")
            if now_ns() - notified_ns >= _NOTIFY_S * 1e9:
                notified_ns = now_ns()
                say_repeated()
                if not warm_ns and "warm" in self._processes.inference.ever:
                    warm_ns = now_ns()
                if not up and warm_ns and now_ns() - warm_ns > _START_LIMIT_S * 1e9:
                    # A restart brings no camera back, and an end would take status away.
                    up = True
                    notifier.ready(f"not ready; {telemetry.line()}")
                    say(events.NOT_READY, f"not ready; {telemetry.line()}")
                elif up:
                    notifier.status(f"{'' if telemetry.ready else 'not ready; '}{telemetry.line()}")
                elif warm_ns or telemetry.uptime_ns < _LOAD_LIMIT_S * 1e9:
                    notifier.extend_timeout(2 * _START_LIMIT_S)
                    notifier.status(f"starting; {telemetry.line()}")
            await asyncio.sleep(_DRAIN_S)

    def _is_ready(self) -> bool:
        return (
            self._channels.ticks.newest > 0
            and "warm" in self._processes.inference.ever
            and all(ring.newest for ring in self._channels.frames.values())
        )

    async def _keep_alive(self) -> None:
        """Feed the watchdog only while ticks advance."""
        interval_ns = self._notifier.watchdog_interval_ns
        if interval_ns is None:
            return
        last = -1
        while True:
            newest = self._channels.ticks.newest
            # Before the first tick there is nothing to watch yet; starting has its own limit.
            if newest > last:
                self._notifier.watchdog()
            last = newest if newest else -1
            await asyncio.sleep(interval_ns / 2e9)
