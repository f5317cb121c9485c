"""One sitting with the arm: a chunk that was written by hand, driven by the daemon's own loop.

The tick process runs with the deployment's limits and checks, without a policy and cameras. The
chunk is its only plan; it is armed as by any operator, and what it commands and measures is read
from its rings. So whatever ends motion in the daemon ends it here, with the same reason.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from actd.arrays import Vector
from actd.client import Operator
from actd.config import Config
from actd.control.staleness import diagnostic
from actd.errors import ActdError, LinkError
from actd.latency.process import tick_process
from actd.latency.response import Times, Trace
from actd.mode import Mode
from actd.runtime import settings
from actd.runtime.channels import Channels, Shapes, open_channels
from actd.runtime.clock import now_ns
from actd.runtime.control_loop import ControlLoopSettings
from actd.runtime.shm import Record, Ring

# The rings keep the last 1023 states and 4095 ticks.
_LOOK_S = 0.03
_ACKNOWLEDGED_S = 5.0
_UNTIL_ARMED_NS = 30_000_000_000
_REASON_S = 0.5
_SILENT_NS = 2_000_000_000


@contextmanager
def session(config: Config, rows: int, rows_hz: float) -> Iterator[Session]:
    """Start the tick process for a chunk of `rows`, `rows_hz` per second, and end it in order.

    Raises ActdError where it cannot run, such as beside a daemon, and KeyboardInterrupt when
    asked to end.
    """
    shapes = Shapes({}, rows, len(config.joints), len(config.robot.state_names), 0)
    channels = open_channels(shapes)
    share = settings.share_cores(config)
    told = ControlLoopSettings(
        shapes=shapes,
        fds=channels.fds,
        tick=settings.tick_settings(config, shapes.env_dim, share, secrets.token_hex(8)),
        control=settings.step_settings(config, rows, rows_hz),
    )
    with tick_process(told) as check:
        yield Session(config, channels, check, round(rows / rows_hz * 1e9))


class Session:
    """What can be asked of the running tick process. Drive once."""

    def __init__(
        self, config: Config, channels: Channels, check: Callable[[], None], duration_ns: int
    ) -> None:
        self._config = config
        self._channels = channels
        self._check = check
        self._duration_ns = duration_ns
        self._state_limit_ns = round(config.staleness.state_ms * 1e6)

    def wait_pose(self, timeout_s: float) -> Vector:
        """The measured positions (joints,), as soon as there are fresh ones. Raises LinkError."""
        record = self._wait(
            lambda tick: 0 <= tick["state_age_ns"] <= self._state_limit_ns, timeout_s
        )
        if record is None:
            raise LinkError(self._silence(timeout_s))
        return np.array(record["positions"], np.float64)

    def drive(self, chunk: Vector, index: int, ticks: int) -> Trace:
        """Arm, and follow `chunk` (rows, joints) for a number of ticks.

        Returns what was commanded of one joint at each of them, and every state measured of it.
        Raises LinkError, with the daemon's reason, where it is not armed or does not stay so.
        """
        now = now_ns()
        # It stands at its first row until it is armed, and may be followed to its end.
        usable_ns = self._duration_ns + _UNTIL_ARMED_NS
        self._channels.chunks.write((now, now, 0, 0, usable_ns, chunk))
        # What is still missing then is said by who refuses to arm.
        limit_ns = round(self._config.controller_ms * 1e6)
        self._wait(
            lambda tick: tick["newest_chunk"] > 0 and 0 <= tick["controller_age_ns"] <= limit_ns,
            _ACKNOWLEDGED_S,
        )
        joint = self._config.joints[index]
        place = self._config.robot.state_names.index(joint.name)
        records, states = _News(self._channels.ticks), _News(self._channels.states)
        notices = _News(self._channels.notices)
        self._arm()
        armed: list[tuple[int, float]] = []
        measured: list[tuple[int, float]] = []
        news_ns = now_ns()
        while len(armed) < ticks:
            time.sleep(_LOOK_S)
            self._check()
            measured += [(int(new["t_ns"]), float(new["state"][place])) for new in states.take()]
            for tick in records.take():
                news_ns = int(tick["sent_ns"])
                mode = Mode(int(tick["mode"]))
                if mode is Mode.ARMED:
                    armed.append((news_ns, float(tick["action"][index])))
                elif armed or mode is not Mode.IDLE:
                    raise LinkError(f"{mode.name}: {_reason(notices)}: the arm was brought to rest")
            if now_ns() - news_ns > _SILENT_NS:
                raise ActdError(f"the tick process has stood still for {_SILENT_NS / 1e9:g} s")
        sent_ns, commands = _columns(armed, joint.turn)
        measured_ns, positions = _columns(measured, joint.turn)
        return Trace(sent_ns, commands, measured_ns, positions)

    def _arm(self) -> None:
        link = self._config.link
        try:
            with Operator(link.host, link.ports, robot=self._config.robot.name) as operator:
                operator.arm()
        except LinkError:
            self._check()  # one that has ended cannot answer
            raise

    def _wait(self, condition: Callable[[Record], object], timeout_s: float) -> Record | None:
        """The newest tick, once it is as wanted; None: it was not within `timeout_s`."""
        deadline_ns = now_ns() + round(timeout_s * 1e9)
        while now_ns() < deadline_ns:
            self._check()
            newest = self._channels.ticks.latest()
            if newest is not None and condition(newest[1]):
                return newest[1]
            time.sleep(_LOOK_S)
        return None

    def _silence(self, timeout_s: float) -> str:
        """Why there is no pose."""
        newest = self._channels.ticks.latest()
        if newest is None:
            return f"the tick process gave no tick within {timeout_s:g} s"
        rejected = [new for _, new in self._channels.notices.since(0) if new["rejected"]]
        if rejected:
            count, text = int(rejected[-1]["rejected"]), _text(rejected[-1])
            return f"robot state: {count} messages refused: {text}"
        age_ns = int(newest[1]["state_age_ns"])
        if age_ns > self._state_limit_ns:
            return diagnostic("robot state", age_ns, self._state_limit_ns)
        robot, link = self._config.robot, self._config.link
        return (
            f"no state of robot {robot.name} on port {link.state_port} within {timeout_s:g} s: "
            "start the robot's controller"
        )


class _News:
    """The records that a ring is given from now on."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._seen = ring.newest

    def take(self) -> list[Record]:
        """Those since the last call. Raises ActdError if any is lost."""
        found = list(self._ring.since(self._seen))
        if found and found[-1][0] - self._seen != len(found):
            raise ActdError("this computer was too busy to keep up with the arm: end other work")
        self._seen += len(found)
        return [record for _, record in found]


def _reason(notices: _News) -> str:
    """Why the mode was left: the notice comes a moment after the tick."""
    deadline_ns = now_ns() + round(_REASON_S * 1e9)
    while now_ns() < deadline_ns:
        texts = [_text(notice) for notice in notices.take() if not notice["rejected"]]
        if any(texts):
            return next(filter(None, texts))
        time.sleep(_LOOK_S)
    return "no reason was given"


def _text(notice: Record) -> str:
    return bytes(notice["text"]).decode(errors="replace")


def _columns(pairs: list[tuple[int, float]], turn: float | None) -> tuple[Times, Vector]:
    """Times and values, each (n,); those of a continuous joint without jumps."""
    times = np.array([t_ns for t_ns, _ in pairs], np.int64)
    values = np.array([value for _, value in pairs], np.float64)
    return times, values if turn is None else np.unwrap(values, period=turn)
