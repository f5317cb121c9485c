"""The dashboard process: the operator's page over HTTP, from what the rings hold.

In: tick, chunk and frame rings, the daemon's status (9873). Out: HTTP on its own port; orders go
to the tick process (9874) as everyone's do. It is in no command's path and has no say of its own:
slow, killed or never asked, ticks go on. Pictures are encoded only while somebody looks.
"""

from __future__ import annotations

import asyncio
import errno
import math
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from aiohttp import web

from actd.client import Operator
from actd.control.limits import Flag
from actd.dashboard.app import make_app
from actd.dashboard.history import History
from actd.dashboard.view import Picture
from actd.errors import LinkError, RecordingError
from actd.flightlog.format import file_dtype
from actd.flightlog.pictures import picture_at
from actd.flightlog.reader import read_tick
from actd.link.sockets import Ports
from actd.mode import Mode
from actd.runtime import jpeg, process_entry
from actd.runtime.channels import Channels, notice_text, open_channels, tick_dtype
from actd.runtime.clock import now_ns, unix_s

_LOOK_S = 1.0
_STATUS_NS = 500_000_000
_AHEAD_S = 1.0
_AHEAD_POINTS = 20
_TIMEOUT_S = 1.0
_LEADER_NS = 1_000_000_000
"""A leader that was not heard for so long is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSettings(process_entry.ProcessSettings):
    """`lower`, `upper` of each of `joints`; `values`: the deployment, value by value; `run`: the
    folder of the flight log, None where there is none.
    """

    robot: str
    host: str
    port: int
    ports: Ports
    may_arm: bool
    rate_hz: float
    policy_hz: float
    joints: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    values: tuple[Mapping[str, Any], ...]
    run: Path | None


def run(settings: DashboardSettings) -> None:
    """Serve until SIGTERM. Raises LinkError where the port is taken."""
    uvloop.run(_serve(settings))


async def _serve(settings: DashboardSettings) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    view = RingView(settings, open_channels(settings.shapes, settings.fds))
    app = make_app(view, now_ns, may_arm=settings.may_arm)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await _listen(runner, settings)
        process_entry.report(state="running", why=f"http://{settings.host}:{settings.port}")
        while not over.is_set():
            view.look()
            try:
                await asyncio.wait_for(over.wait(), _LOOK_S)
            except asyncio.TimeoutError:
                continue
    finally:
        await runner.cleanup()
        view.close()


async def _listen(runner: web.AppRunner, settings: DashboardSettings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        process_entry.report(state="refused")  # it would be taken the next time too
        if error.errno == errno.EADDRINUSE:
            raise LinkError(
                f"dashboard.port: {settings.port} is in use; choose another one"
            ) from None
        raise LinkError(f"dashboard.port: {settings.port}: {error.strerror}") from None


class RingView:
    """`actd.dashboard.view.View` of a running daemon."""

    def __init__(self, settings: DashboardSettings, channels: Channels) -> None:
        self._settings = settings
        self._channels = channels
        shapes = settings.shapes
        self._recorded = file_dtype(tick_dtype(shapes.action_dim, len(shapes.cameras)).descr)
        self._history = History(int(Flag.UNDERRUN))
        self._ticks_seen = channels.ticks.newest
        self._notices_seen = 0
        self._reasons: dict[int, str] = {}
        self._operator = Operator(
            settings.host, settings.ports, timeout_s=_TIMEOUT_S, robot=settings.robot
        )
        self._asking = asyncio.Lock()
        self._status: dict[str, Any] = {}
        self._status_ns = -_STATUS_NS

    def look(self) -> None:
        """Take in what has come since the last look."""
        for number, notice in self._channels.notices.since(self._notices_seen):
            self._notices_seen = number
            if not notice["rejected"]:
                self._reasons[int(notice["t_ns"])] = notice_text(notice)
        ticks = list(self._channels.ticks.since(self._ticks_seen))
        if ticks:
            self._ticks_seen = ticks[-1][0]
            self._history.add(ticks, self._reasons, unix_s() - now_ns() / 1e9)
            newest_ns = int(ticks[-1][1]["sent_ns"])
            self._reasons = {t: text for t, text in self._reasons.items() if t > newest_ns}

    def live(self) -> dict[str, Any]:
        """See `View.live`."""
        settings = self._settings
        latest = self._channels.ticks.latest()
        mode, reason, t_s = "STARTING", "", now_ns() / 1e9
        command = measured = (math.nan,) * len(settings.joints)
        leader = False
        if latest is not None:
            tick = latest[1]
            mode, t_s = Mode(int(tick["mode"])).name, int(tick["sent_ns"]) / 1e9
            command, measured = tick["action"].tolist(), tick["positions"].tolist()
            leader = bool(0 <= tick["leader_age_ns"] < _LEADER_NS)
            notice = self._channels.notices.latest()
            if mode not in ("IDLE", "ARMED") and notice and not notice[1]["rejected"]:
                reason = notice_text(notice[1])
        ahead = self._ahead()
        beyond = self._status.get("beyond_training", {})
        return {
            "robot": settings.robot,
            "mode": mode,
            "reason": reason,
            "leader": leader,
            "t_s": t_s,
            "rate_hz": settings.rate_hz,
            "ahead_s": _AHEAD_S / _AHEAD_POINTS,
            "joints": [
                {
                    "name": name,
                    "lower": settings.lower[j],
                    "upper": settings.upper[j],
                    "command": _number(command[j]),
                    "measured": _number(measured[j]),
                    "beyond": beyond.get(name),
                    "ahead": [_number(value) for value in ahead[:, j].tolist()],
                }
                for j, name in enumerate(settings.joints)
            ],
            "cameras": self._cameras(),
        }

    def _ahead(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """What the newest chunk says for the next second, (points, joints); empty without one."""
        joints = len(self._settings.joints)
        latest = self._channels.chunks.latest()
        if latest is None:
            return np.zeros((0, joints), np.float32)
        actions = latest[1]["actions"]
        passed_s = (now_ns() - int(latest[1]["t_observation_ns"])) / 1e9
        times_s = passed_s + _AHEAD_S / _AHEAD_POINTS * np.arange(1, _AHEAD_POINTS + 1)
        rows = (times_s * self._settings.policy_hz).astype(np.intp)
        chosen: np.ndarray[Any, np.dtype[np.float32]] = actions[rows[rows < len(actions)]]
        return chosen

    def _cameras(self) -> dict[str, Any]:
        """Ages are of now; rates and conditions of the last status."""
        known = self._status.get("cameras", {})
        cameras = {}
        for name, ring in self._channels.frames.items():
            t_ns = ring.peek("t_capture_ns")
            camera = known.get(name, {})
            cameras[name] = {
                "state": camera.get("state", "ok"),
                "fps": camera.get("fps", 0.0),
                "drops": camera.get("drops", 0),
                "age_ms": None if t_ns is None else (now_ns() - t_ns) / 1e6,
                "likeness": camera.get("likeness"),
            }
        return cameras

    def history(self, after: int) -> dict[str, Any]:
        """See `View.history`."""
        return self._history.after(after)

    def tick(self, number: int) -> dict[str, Any] | None:
        """See `View.tick`."""
        tick = self._tick(number)
        if tick is None:
            return None
        ages = zip(self._channels.frames, tick["camera_ages_ns"].tolist(), strict=True)
        joints = zip(
            self._settings.joints, tick["positions"].tolist(), tick["action"].tolist(), strict=True
        )
        return {
            "number": number,
            "unix_s": unix_s() + (int(tick["sent_ns"]) - now_ns()) / 1e9,
            "mode": Mode(int(tick["mode"])).name,
            "late_us": int(tick["late_ns"]) / 1e3,
            "chunk_age_ms": _ms(int(tick["chunk_age_ns"])),
            "state_age_ms": _ms(int(tick["state_age_ns"])),
            "conditions": [
                str(flag.name).lower().replace("_", " ")
                for flag in Flag
                if int(tick["flags"]) & flag.value
            ],
            "cameras": {name: _ms(age_ns) for name, age_ns in ages},
            "joints": [
                {"name": name, "measured": _number(measured), "command": _number(command)}
                for name, measured, command in joints
            ],
            "run": "" if self._settings.run is None else str(self._settings.run),
        }

    def _tick(self, number: int) -> np.void | None:
        """From the ring, which has the newest, or the flight log."""
        record = self._channels.ticks.read(number)
        if record is None and self._settings.run is not None:
            record = read_tick(self._settings.run, self._recorded, number)
        return record

    def picture_of(self, number: int, camera: str) -> bytes | None:
        """See `View.picture_of`."""
        run, tick = self._settings.run, self._tick(number)
        if run is None or tick is None:
            return None
        try:
            return picture_at(run, camera, int(tick["sent_ns"]))
        except OSError as error:
            raise RecordingError(f"{run}: cannot be read: {error.strerror}") from None

    def config(self) -> list[dict[str, Any]]:
        """See `View.config`."""
        return [dict(value) for value in self._settings.values]

    def picture(self, camera: str) -> Picture | None:
        """See `View.picture`."""
        latest = self._channels.frames[camera].latest()
        if latest is None:
            return None
        frame = latest[1]
        age_ms = (now_ns() - int(frame["t_capture_ns"])) / 1e6
        return Picture(jpeg.encode(frame["pixels"]), age_ms)

    async def status(self) -> dict[str, Any]:
        """See `View.status`: at most two a second, however many pages ask."""
        async with self._asking:
            if now_ns() - self._status_ns >= _STATUS_NS:
                self._status = await asyncio.to_thread(self._operator.status)
                self._status_ns = now_ns()
        return self._status

    async def order(self, command: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """See `View.order`. It has a connection of its own: a stop never waits for another."""
        answer = await asyncio.to_thread(self._order, command, fields)
        self._status_ns = -_STATUS_NS  # it may be another one now
        return answer

    def _order(self, command: str, fields: Mapping[str, str]) -> dict[str, Any]:
        settings = self._settings
        with Operator(
            settings.host, settings.ports, timeout_s=_TIMEOUT_S, robot=settings.robot
        ) as operator:
            return operator.request(command, **fields)

    def close(self) -> None:
        """Close the connection to the daemon."""
        self._operator.close()


def _ms(age_ns: int) -> float | None:
    return None if age_ns < 0 else age_ns / 1e6


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
