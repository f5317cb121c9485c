"""Drive the arm along a hand-made chunk with the daemon's own control loop.

The tick process runs with the deployment's limits and checks, without a policy and cameras. It
follows this one chunk, is armed as by any operator, and its commands and states are read from its
rings. So whatever ends motion in the daemon ends it here, with the same reason.
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
from actd.runtime.channels import Channels, Shapes, notice_text, open_channels
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
    """Start the tick process for a chunk of `rows`, `rows_hz` per second, and end it cleanly.

    Raises ActdError where it cannot run, such as beside a daemon, and KeyboardInterrupt when
    asked to end.
    """
    shapes = Shapes({}, rows, len(config.joints), len(config.robot.state_names), 0)
    channels = open_channels(shapes)
    share = settings.share_cores(config)
    loop_settings = ControlLoopSettings(
        shapes=shapes,
        fds=channels.fds,
        tick=settings.tick_settings(config, shapes.env_dim, share, secrets.token_hex(8)),
        control=settings.step_settings(config, rows, rows_hz),
    )
    with tick_process(loop_settings) as check:
        yield Session(config, channels, check, round(rows / rows_hz * 1e9))


class Session:
    """The running tick process. `drive` may be called once."""

    def __init__(
        self, config: Config, channels: Channels, check: Callable[[], None], duration_ns: int
    ) -> None:
        self._config = config
        self._channels = channels
        self._check = check
        self._duration_ns = duration_ns
        self._state_limit_ns = round(config.staleness.state_ms * 1e6)

    def wait_positions(self, timeout_s: float) -> Vector:
        """Wait for fresh measured positions (joints,) and return them. Raises LinkError."""
        record = self._wait(
            lambda tick: 0 <= tick["state_age_ns"] <= self._state_limit_ns, timeout_s
        )
        if record is None:
            raise LinkError(self._silence(timeout_s))
        return np.array(record["positions"], np.float64)

    def drive(self, chunk: Vector, index: int, ticks: int) -> Trace:
        """Arm, and follow `chunk` (rows, joints) for a number of ticks.

        Returns one joint's command at each tick, and every measured state of it. Raises LinkError,
        with the daemon's reason, if it is not armed or does not stay armed.
        """
        now = now_ns()
        # The chunk waits at its first row for arming, and must stay usable to its end.
        usable_ns = self._duration_ns + _UNTIL_ARMED_NS
        self._channels.chunks.write((now, now, 0, 0, usable_ns, chunk))
        # If anything is still missing then, arming is refused with the reason.
        limit_ns = round(self._config.controller_ms * 1e6)
        self._wait(
            lambda tick: tick["newest_chunk"] > 0 and 0 <= tick["controller_age_ns"] <= limit_ns,
            _ACKNOWLEDGED_S,
        )
        joint = self._config.joints[index]
        place = self._config.robot.state_names.index(joint.name)
        records, states = _NewRecords(self._channels.ticks), _NewRecords(self._channels.states)
        notices = _NewRecords(self._channels.notices)
        self._arm()
        commands: list[tuple[int, float]] = []
        positions: list[tuple[int, float]] = []
        last_sent_ns = now_ns()
        while len(commands) < ticks:
            time.sleep(_LOOK_S)
            self._check()
            positions += [
                (int(state["t_ns"]), float(state["state"][place])) for state in states.take()
            ]
            for tick in records.take():
                last_sent_ns = int(tick["sent_ns"])
                mode = Mode(int(tick["mode"]))
                if mode is Mode.ARMED:
                    commands.append((last_sent_ns, float(tick["action"][index])))
                elif commands or mode is not Mode.IDLE:
                    raise LinkError(f"{mode.name}: {_reason(notices)}: the arm was brought to rest")
            if now_ns() - last_sent_ns > _SILENT_NS:
                raise ActdError(f"the tick process has stood still for {_SILENT_NS / 1e9:g} s")
        return Trace(*_columns(commands, joint.turn), *_columns(positions, joint.turn))

    def _arm(self) -> None:
        link = self._config.link
        try:
            with Operator(link.host, link.ports, robot=self._config.robot.name) as operator:
                operator.arm()
        except LinkError:
            self._check()  # a process that has ended cannot answer
            raise

    def _wait(self, condition: Callable[[Record], object], timeout_s: float) -> Record | None:
        """The newest tick once it meets `condition`; None if none did within `timeout_s`."""
        deadline_ns = now_ns() + round(timeout_s * 1e9)
        while now_ns() < deadline_ns:
            self._check()
            newest = self._channels.ticks.latest()
            if newest is not None and condition(newest[1]):
                return newest[1]
            time.sleep(_LOOK_S)
        return None

    def _silence(self, timeout_s: float) -> str:
        """Why there are no fresh positions."""
        newest = self._channels.ticks.latest()
        if newest is None:
            return f"the tick process made no tick within {timeout_s:g} s"
        rejections = [notice for _, notice in self._channels.notices.since(0) if notice["rejected"]]
        if rejections:
            count, text = int(rejections[-1]["rejected"]), notice_text(rejections[-1])
            return f"robot state: {count} messages refused: {text}"
        age_ns = int(newest[1]["state_age_ns"])
        if age_ns > self._state_limit_ns:
            return diagnostic("robot state", age_ns, self._state_limit_ns)
        robot, link = self._config.robot, self._config.link
        return (
            f"no state of robot {robot.name} on port {link.state_port} within {timeout_s:g} s; "
            "start the robot's controller"
        )


class _NewRecords:
    """The records written to a ring from now on."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._last_number = ring.newest

    def take(self) -> list[Record]:
        """The records since the last call. Raises ActdError if one was lost."""
        records = list(self._ring.since(self._last_number))
        if records and records[-1][0] - self._last_number != len(records):
            raise ActdError("this computer was too busy to keep up with the arm; end other work")
        self._last_number += len(records)
        return [record for _, record in records]


def _reason(notices: _NewRecords) -> str:
    """The reason for leaving the mode; its notice comes a moment after the tick."""
    deadline_ns = now_ns() + round(_REASON_S * 1e9)
    while now_ns() < deadline_ns:
        texts = [notice_text(notice) for notice in notices.take() if not notice["rejected"]]
        if any(texts):
            return next(filter(None, texts))
        time.sleep(_LOOK_S)
    return "no reason was given"


def _columns(pairs: list[tuple[int, float]], turn: float | None) -> tuple[Times, Vector]:
    """Times and values, each (n,); values of a continuous joint are unwrapped."""
    times = np.array([t_ns for t_ns, _ in pairs], np.int64)
    values = np.array([value for _, value in pairs], np.float64)
    return times, values if turn is None else np.unwrap(values, period=turn)
