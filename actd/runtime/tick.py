"""The tick process: one command per period, whatever the rest of the daemon is doing.

In: robot state (SUB 9871), plans, camera ages and operator commands (shared memory).
Out: actions (PUB 9872), the state for inference, one record per tick.
It makes no engine, opens no camera, logs nothing and queues nothing. When any input stops
it goes on sending: the controller brakes the arm and every message says why.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import zmq

from actd.control.controller import Controller, Inputs, Output
from actd.control.guard import Vector
from actd.control.plan import Plan
from actd.control.state import Event
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.mode import Mode
from actd.runtime import child, realtime
from actd.runtime.blocks import ANSWER_BYTES, EVENTS, EVENTS_PER_TICK, Blocks, Shapes, open_blocks
from actd.runtime.clock import now_ns, sleep_until_ns, unix_s
from actd.runtime.schedule import Schedule
from actd.runtime.settings import TickSettings, control_settings

# STOP is repeated: a controller keeps only the newest message, and one may be lost.
_STOP_TICKS_MIN = 5
_STOP_NS = 100_000_000
_BRAKE_NS_MAX = 1_000_000_000


def run(job: Mapping[str, Any]) -> None:
    """Tick until SIGTERM, then brake to rest, announce STOP and return."""
    settings = TickSettings(**job["tick"])
    blocks = open_blocks(Shapes(**job["shapes"]), job["fds"])
    os.sched_setaffinity(0, settings.cores)
    granted = realtime.request(settings.realtime, settings.priority)
    granted["cores"] = ",".join(map(str, settings.cores))
    context: zmq.Context[Any] = zmq.Context()
    if realtime.is_fifo():
        # libzmq sends from a thread of its own: it must not wait behind inference either.
        context.set(zmq.THREAD_SCHED_POLICY, 1)
        context.set(zmq.THREAD_PRIORITY, max(1, settings.priority - 1))
    try:
        link = Link(context, settings, blocks)
        loop = Loop(Controller(control_settings(job["control"])), link, blocks, settings)
        signal.signal(signal.SIGTERM, loop.ask_to_stop)
        child.report(state="running", realtime=granted)
        loop.run()
    finally:
        context.destroy(linger=100)


class Link:
    """The tick's two sockets: the newest robot state in, actions out."""

    def __init__(self, context: zmq.Context[Any], settings: TickSettings, blocks: Blocks) -> None:
        ports = settings.ports
        self._states = sockets.newest(
            context, sockets.endpoint(settings.host, ports.state), bind=True
        )
        self._actions = sockets.publisher(context, sockets.endpoint(settings.host, ports.actions))
        self._ring = blocks.states
        self._joints = settings.joints
        self._state_names = settings.state_names
        self._env_dim = settings.env_dim
        self.listeners = 0
        self._listened_ns: int | None = None
        self.pose: Vector | None = None
        self.state_ns: int | None = None

    def read(self, now: int) -> None:
        """Take in the newest state, if there is one, and who listens. Bad messages are ignored."""
        try:
            message = messages.parse_state(self._states.recv(zmq.DONTWAIT))
            pose = np.array([message.state[name] for name in self._joints])
            state = [message.state[name] for name in self._state_names]
            if len(message.env) == self._env_dim:
                self._ring.write((now, state, message.env))
                self.pose, self.state_ns = pose, now
        except (zmq.Again, LinkError, KeyError):
            pass  # the state's age grows, and that is what is acted upon
        try:
            while True:
                joined = self._actions.recv(zmq.DONTWAIT)[:1] == b"\x01"
                self.listeners = max(0, self.listeners + (1 if joined else -1))
        except zmq.Again:
            pass
        if self.listeners:
            self._listened_ns = now

    def controller_age_ns(self, now: int) -> int | None:
        """0 while a controller listens, else the time since the last one left; None: never."""
        return None if self._listened_ns is None else now - self._listened_ns

    def send(self, action: messages.Action) -> None:
        """Publish one command; never waits."""
        self._actions.send(messages.pack_action(action), zmq.DONTWAIT)


class Loop:
    """Carries inputs into the controller and its output out, once per period."""

    def __init__(
        self, controller: Controller, link: Link, blocks: Blocks, settings: TickSettings
    ) -> None:
        self._controller = controller
        self._link = link
        self._blocks = blocks
        self._joints = settings.joints
        self._ttl_ms = settings.ttl_ns / 1e6
        period_ns = settings.period_ns
        # Whole periods of the clock, so that two daemons of one rate tick together.
        first_ns = (now_ns() // period_ns + 2) * period_ns
        self._schedule = Schedule(period_ns, first_ns)
        self._seq = 0
        self._last_plan = blocks.plans.newest
        self._last_command = blocks.commands.newest
        self._infer_ms = 0.0
        self._nothing = np.full(len(settings.joints), np.nan)
        self._asked_to_stop = False

    def ask_to_stop(self, *_: object) -> None:
        """Signal handler: begin the end at the next tick."""
        self._asked_to_stop = True

    def run(self) -> None:
        """Tick until asked to stop, then ramp to rest and repeat STOP for a while."""
        while not self._asked_to_stop:
            self._tick(())
        self._tick((Event.HOLD,))
        limit_ns = now_ns() + _BRAKE_NS_MAX
        while not self._controller.at_rest and now_ns() < limit_ns:
            self._tick(())
        self._tick((Event.STOP,))
        until_ns = now_ns() + _STOP_NS
        count = 1
        while count < _STOP_TICKS_MIN or now_ns() < until_ns:
            self._tick(())
            count += 1

    def _tick(self, own_events: tuple[Event, ...]) -> None:
        schedule = self._schedule
        sleep_until_ns(schedule.due_ns)
        wake_ns = now_ns()
        late_ns = schedule.arrive(wake_ns)
        self._link.read(wake_ns)
        inputs = self._inputs(wake_ns, own_events)
        output = self._controller.tick(inputs)
        self._seq += 1
        self._link.send(self._message(output, late_ns))
        for command, error in output.answers:
            if command:
                self._blocks.answers.write((command, error.encode()[:ANSWER_BYTES]))
        self._record(inputs, output, wake_ns, late_ns)
        schedule.advance()

    def _inputs(self, now: int, own_events: tuple[Event, ...]) -> Inputs:
        link = self._link
        ages: dict[str, int | None] = {}
        unchanged: dict[str, int] = {}
        for name, ring in self._blocks.frames.items():
            captured_ns = ring.peek("t_capture_ns")
            changed_ns = ring.peek("t_changed_ns")
            # A frame may be stamped after this tick woke.
            ages[name] = None if captured_ns is None else max(0, now - captured_ns)
            unchanged[name] = 0 if changed_ns is None else max(0, now - changed_ns)
        return Inputs(
            due_ns=self._schedule.due_ns,
            pose=link.pose,
            state_age_ns=None if link.state_ns is None else now - link.state_ns,
            camera_ages_ns=ages,
            camera_unchanged_ns=unchanged,
            controller_age_ns=link.controller_age_ns(now),
            plans=self._new_plans(),
            commands=(*((0, event) for event in own_events), *self._new_commands()),
        )

    def _new_plans(self) -> tuple[Plan, ...]:
        plans = []
        for number, record in self._blocks.plans.since(self._last_plan):
            self._last_plan = number
            self._infer_ms = int(record["infer_ns"]) / 1e6
            plans.append(Plan(number, int(record["t_observation_ns"]), record["actions"]))
        return tuple(plans)

    def _new_commands(self) -> tuple[tuple[int, Event], ...]:
        """Operators' commands; a record of a tick has room for a few, the rest wait one tick."""
        fresh = self._blocks.commands.since(self._last_command)
        commands = []
        for number, record in islice(fresh, EVENTS_PER_TICK - 1):
            self._last_command = number
            commands.append((number, Event(bytes(record["event"]).decode())))
        return tuple(commands)

    def _message(self, output: Output, late_ns: int) -> messages.Action:
        action = output.action
        return messages.Action(
            seq=self._seq,
            t=unix_s(),
            t_mono_ns=now_ns(),
            ttl_ms=self._ttl_ms,
            mode=Mode(output.mode),
            action={} if action is None else dict(zip(self._joints, action.tolist(), strict=True)),
            plan=output.plan,
            age_ms=-1.0 if output.plan_age_ns is None else output.plan_age_ns / 1e6,
            n=output.n,
            infer_ms=self._infer_ms,
            late_us=late_ns / 1e3,
            flags=output.flags,
        )

    def _record(self, inputs: Inputs, output: Output, wake_ns: int, late_ns: int) -> None:
        events, commands = [0] * EVENTS_PER_TICK, [0] * EVENTS_PER_TICK
        for place, (number, event) in enumerate(inputs.commands):
            events[place], commands[place] = EVENTS.index(event), number
        self._blocks.ticks.write(
            (
                self._seq,
                inputs.due_ns,
                wake_ns,
                late_ns,
                now_ns(),
                self._schedule.missed,
                int(output.mode),
                output.n,
                output.flags,
                self._link.listeners,
                output.plan,
                _age(output.plan_age_ns),
                self._last_plan,
                sum(1 << (self._last_plan - plan.number) for plan in inputs.plans),
                events,
                commands,
                _age(inputs.state_age_ns),
                _age(inputs.controller_age_ns),
                [_age(age_ns) for age_ns in inputs.camera_ages_ns.values()],
                list(inputs.camera_unchanged_ns.values()),
                self._nothing if inputs.pose is None else inputs.pose,
                self._nothing if output.action is None else output.action,
            )
        )


def _age(age_ns: int | None) -> int:
    return -1 if age_ns is None else age_ns


if __name__ == "__main__":
    child.main(run)
