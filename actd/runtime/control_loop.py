"""The tick process: one command per period, whatever the rest of the daemon is doing.

In: robot state (SUB 9871), operators' orders (ROUTER 9874), chunks and camera ages (shared
memory). Out: actions (PUB 9872), answers, the state for inference, one record per tick.
It makes no engine, opens no camera, logs nothing and queues nothing. When any input stops
it goes on sending: the controller brakes the arm and every message says why. SIGTERM, SIGHUP
and SIGQUIT, and the end of the daemon's first process, end in a ramp to rest, then STOP.
"""

from __future__ import annotations

import math
import resource
import signal
from dataclasses import dataclass
from typing import Any

import zmq

from actd.control.chunks import ActionChunk
from actd.control.controller import Controller
from actd.control.settings import ControlSettings
from actd.control.state import Event
from actd.control.tick import Inputs, Output
from actd.link import messages
from actd.link.age import clock_id
from actd.runtime import process_entry, realtime
from actd.runtime.channels import (
    CHUNKS_PER_TICK,
    EVENTS,
    EVENTS_PER_TICK,
    NOTICE_BYTES,
    Channels,
    open_channels,
)
from actd.runtime.clock import boottime_ns, now_ns, sleep_until_ns, unix_s
from actd.runtime.control_server import ControlServer
from actd.runtime.robot_io import RobotIO, open_sockets
from actd.runtime.schedule import Schedule, period_of
from actd.runtime.settings import TickSettings

# STOP is repeated: a controller keeps only the newest message, and one may be lost.
_STOP_TICKS_MIN = 5
_STOP_NS = 100_000_000

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# A clock that jumps by less is only read at another moment than the other one.
_SUSPENDED_NS = 1_000_000
# How often the count of rejected messages is told while they keep coming.
_COUNT_AGAIN_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlLoopSettings(process_entry.ProcessSettings):
    """The tick process is placed as its `tick` says."""

    tick: TickSettings
    control: ControlSettings


def run(settings: ControlLoopSettings) -> None:
    """Tick until a signal, then brake to rest, announce STOP and return."""
    tick, control = settings.tick, settings.control
    channels = open_channels(settings.shapes, settings.fds)
    granted = realtime.request(tick.realtime, tick.priority, tick.cores)
    # Whoever leaves connections open must not use up what sockets are made of.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context: zmq.Context[Any] = zmq.Context()
    if realtime.is_fifo():
        # libzmq sends from a thread of its own: it must not wait behind inference either.
        # Below the tick: where connections flood it, it must not keep the tick waiting.
        context.set(zmq.THREAD_SCHED_POLICY, 1)
        context.set(zmq.THREAD_PRIORITY, tick.priority - 1)
        granted["sending_thread"] = f"fifo {tick.priority - 1}"
    try:
        states, actions, orders = open_sockets(context, tick)
        robot = RobotIO(states, actions, tick, control, channels.states)
        server = ControlServer(orders, tick.robot, tick.boot)
        loop = Loop(Controller(control), robot, server, channels, tick)
        for number in _SIGNALS:
            if number not in settings.ignored:
                signal.signal(number, loop.ask_to_stop)
        process_entry.report(state="running", realtime=granted)
        loop.run()
    finally:
        context.destroy(linger=0)


class Loop:
    """Ticks until asked to stop; everything it needs is made beforehand."""

    def __init__(
        self,
        controller: Controller,
        robot: RobotIO,
        server: ControlServer,
        channels: Channels,
        settings: TickSettings,
    ) -> None:
        self._controller = controller
        self._robot = robot
        self._server = server
        self._channels = channels
        self._settings = settings
        control = controller.settings
        self._joints = control.joints
        self._ttl_ms = control.ttl_ns / 1e6
        self._clock = clock_id()
        # The kernel's own timer interrupt comes at whole milliseconds of the clock.
        first_ms = (now_ns() + 2 * control.period_ns) // 1_000_000
        first_ns = first_ms * 1_000_000 + 500_000
        self._schedule = Schedule(period_of(settings.rate_hz), first_ns)
        self._boot_offset_ns = boottime_ns() - now_ns()
        self._seq = 0
        self._last_chunk = channels.chunks.newest
        self._last_fault = channels.faults.newest
        self._infer_ms = 0.0
        self._said = ("", "", 0)
        self._nothing = [math.nan] * len(control.joints)
        self._asked_to_stop = False

    def ask_to_stop(self, *_: object) -> None:
        """Signal handler: begin the end at the next tick."""
        self._asked_to_stop = True

    def run(self) -> None:
        """Tick until asked to stop, then ramp to rest and repeat STOP for a while."""
        while not self._asked_to_stop:
            self._tick(())
        self._server.closing = True
        self._tick((Event.HOLD,))
        # The limits say how long this takes: at most what `config check` allows.
        while not self._controller.at_rest:
            self._tick(())
        self._tick((Event.STOP,))
        until_ns = now_ns() + _STOP_NS
        count = 1
        while count < _STOP_TICKS_MIN or now_ns() < until_ns:
            self._tick(())
            count += 1

    def _tick(self, own_events: tuple[Event, ...]) -> None:
        schedule, robot = self._schedule, self._robot
        sleep_until_ns(schedule.due_ns)
        wake_ns, boot_ns = now_ns(), boottime_ns()
        late_ns = schedule.arrive(wake_ns)
        robot.read(wake_ns, boot_ns)
        own = tuple([(0, event) for event in (*own_events, *self._faults())])
        orders = self._server.read(EVENTS_PER_TICK - len(own))
        inputs = self._inputs(wake_ns, boot_ns, (*own, *orders))
        output = self._controller.tick(inputs)
        self._seq += 1
        message = messages.pack_action(self._message(output, late_ns))
        robot.send(self._seq, message, now_ns())
        sent_ns = now_ns()
        self._server.answer(output)
        self._channels.ticks.write_flat(*self._record(inputs, output, wake_ns, late_ns, sent_ns))
        self._tell(output.reason, robot.rejection if inputs.state_problem else "", sent_ns)
        schedule.advance()

    def _faults(self) -> tuple[Event, ...]:
        """FAULT, where a process has died since the last tick."""
        before, self._last_fault = self._last_fault, self._channels.faults.newest
        return (Event.FAULT,) if self._last_fault > before else ()

    def _inputs(self, now: int, boot_ns: int, commands: tuple[tuple[int, Event], ...]) -> Inputs:
        robot = self._robot
        ages: dict[str, int | None] = {}
        unchanged: dict[str, int] = {}
        openings = 0
        for name, ring in self._channels.frames.items():
            captured_ns = ring.peek("t_capture_ns")
            changed_ns = ring.peek("t_changed_ns")
            # A frame may be stamped after this tick woke.
            ages[name] = None if captured_ns is None else max(0, now - captured_ns)
            # Between captures: a camera that stops is stale, not frozen.
            unchanged[name] = max(0, captured_ns - changed_ns) if captured_ns and changed_ns else 0
            openings += ring.peek("openings") or 0
        offset_ns = boot_ns - now
        suspended_ns = offset_ns - self._boot_offset_ns
        self._boot_offset_ns = offset_ns
        return Inputs(
            due_ns=self._schedule.due_ns,
            positions=robot.positions,
            state_age_ns=robot.state_age_ns(now),
            camera_ages_ns=ages,
            camera_unchanged_ns=unchanged,
            controller_age_ns=robot.controller_age_ns(now),
            source=robot.source,
            rivals=robot.rivals(now),
            openings=openings,
            suspended_ns=suspended_ns if suspended_ns > _SUSPENDED_NS else 0,
            chunks=self._new_chunks(),
            commands=commands,
            leader=robot.leader,
            leader_age_ns=robot.leader_age_ns(now),
            state_problem=robot.problem(now),
        )

    def _new_chunks(self) -> tuple[ActionChunk, ...]:
        """The chunks that have come; a tick's record has room for the newest few."""
        chunks = []
        for number, record in self._channels.chunks.since(self._last_chunk):
            self._last_chunk = number
            self._infer_ms = int(record["infer_ns"]) / 1e6
            observed_ns, usable_ns = int(record["t_observation_ns"]), int(record["usable_ns"])
            chunks.append(ActionChunk(number, observed_ns, record["actions"], usable_ns))
        return tuple(chunk for chunk in chunks if chunk.number > self._last_chunk - CHUNKS_PER_TICK)

    def _message(self, output: Output, late_ns: int) -> messages.Action:
        action, rest = output.action, output.rest
        return messages.Action(
            robot=self._settings.robot,
            boot=self._settings.boot,
            clock=self._clock,
            seq=self._seq,
            t=unix_s(),
            t_boot_ns=boottime_ns(),
            ttl_ms=self._ttl_ms,
            mode=output.mode,
            action={} if action is None else dict(zip(self._joints, action.tolist(), strict=True)),
            rest={} if rest is None else dict(zip(self._joints, rest.tolist(), strict=True)),
            rest_ms=output.rest_ns / 1e6,
            chunk=output.chunk,
            age_ms=-1.0 if output.chunk_age_ns is None else output.chunk_age_ns / 1e6,
            n=output.n,
            infer_ms=self._infer_ms,
            late_us=late_ns / 1e3,
            flags=output.flags,
            reason=output.reason,
        )

    def _record(
        self, inputs: Inputs, output: Output, wake_ns: int, late_ns: int, sent_ns: int
    ) -> tuple[float, ...]:
        """One `tick_dtype` record, number by number."""
        events, commands = [0] * EVENTS_PER_TICK, [0] * EVENTS_PER_TICK
        for place, (number, event) in enumerate(inputs.commands):
            events[place], commands[place] = EVENTS.index(event), number
        taken = sum([1 << (self._last_chunk - chunk.number) for chunk in inputs.chunks])
        return (
            self._seq,
            inputs.due_ns,
            wake_ns,
            late_ns,
            sent_ns,
            self._schedule.missed,
            output.mode,
            output.n,
            output.flags,
            output.chunk,
            _age(output.chunk_age_ns),
            self._last_chunk,
            taken,
            *events,
            *commands,
            _age(inputs.state_age_ns),
            _age(inputs.controller_age_ns),
            inputs.source,
            inputs.rivals,
            inputs.openings,
            inputs.suspended_ns,
            _age(inputs.leader_age_ns),
            *[_age(age_ns) for age_ns in inputs.camera_ages_ns.values()],
            *inputs.camera_unchanged_ns.values(),
            *(self._nothing if inputs.positions is None else inputs.positions.tolist()),
            *(self._nothing if output.action is None else output.action.tolist()),
            *(self._nothing if inputs.leader is None else inputs.leader.tolist()),
            *(output.move or (0.0, 0)),
        )

    def _tell(self, reason: str, rejection: str, now: int) -> None:
        """Let the supervisor know of what is new in words."""
        said_reason, said_rejection, said_ns = self._said
        if rejection and (rejection != said_rejection or now - said_ns > _COUNT_AGAIN_NS):
            self._notice(rejection, self._robot.rejected, now)
            said_ns = now
        if reason != said_reason:
            self._notice(reason, 0, now)
        self._said = (reason, rejection, said_ns)

    def _notice(self, text: str, rejected: int, now: int) -> None:
        self._channels.notices.write((now, rejected, text.encode()[:NOTICE_BYTES]))


def _age(age_ns: int | None) -> int:
    return -1 if age_ns is None else age_ns
