"""The tick process: one command per period, whatever the rest of the daemon is doing.

In: robot state (SUB 9871), plans, camera ages and operator commands (shared memory).
Out: actions (PUB 9872), the state for inference, one record per tick.
It makes no engine, opens no camera, logs nothing and queues nothing. When any input stops
it goes on sending: the controller brakes the arm and every message says why.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import zmq

from actd.control.controller import Controller, Inputs, Output
from actd.control.plan import Plan
from actd.control.state import Event
from actd.link import messages
from actd.runtime import child, realtime
from actd.runtime.blocks import (
    ANSWER_BYTES,
    EVENTS,
    EVENTS_PER_TICK,
    PLANS_PER_TICK,
    Blocks,
    Shapes,
    open_blocks,
)
from actd.runtime.clock import now_ns, sleep_until_ns, unix_s
from actd.runtime.schedule import Schedule, period_of
from actd.runtime.settings import TickSettings, control_settings
from actd.runtime.tick_link import Link

# STOP is repeated: a controller keeps only the newest message, and one may be lost.
_STOP_TICKS_MIN = 5
_STOP_NS = 100_000_000
_BRAKE_NS_MAX = 1_000_000_000

# Inference empties the caches within milliseconds. A tick that comes more often than this finds
# much of its own still there; any other is gone through beforehand (see _await_due).
_WARM_PERIOD_NS = 1_900_000
_LEAD_NS_MAX = 1_600_000
_LEAD_SHARE = 0.25
_STEP_NS = 250_000  # nothing is begun that might not be over in time


def run(job: Mapping[str, Any]) -> None:
    """Tick until SIGTERM, then brake to rest, announce STOP and return."""
    settings = TickSettings(**job["tick"])
    blocks = open_blocks(Shapes(**job["shapes"]), job["fds"])
    granted = realtime.request(settings.realtime, settings.priority, settings.cores)
    context: zmq.Context[Any] = zmq.Context()
    if realtime.is_fifo():
        # libzmq sends from a thread of its own: it must not wait behind inference either.
        context.set(zmq.THREAD_SCHED_POLICY, 1)
        context.set(zmq.THREAD_PRIORITY, settings.priority - 1)
        granted["sending_thread"] = f"fifo {settings.priority - 1}"
    try:
        link = Link(context, settings, blocks)
        loop = Loop(Controller(control_settings(job["control"])), link, blocks, settings)
        signal.signal(signal.SIGTERM, loop.ask_to_stop)
        child.report(state="running", realtime=granted)
        loop.run()
    finally:
        context.destroy(linger=100)


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
        # The kernel's own timer interrupt comes at whole milliseconds of the clock.
        first_ms = (now_ns() + 2 * settings.period_ns) // 1_000_000
        first_ns = first_ms * 1_000_000 + 500_000
        self._schedule = Schedule(period_of(settings.rate_hz), first_ns)
        self._lead_ns = _lead_ns(settings.period_ns) if realtime.is_fifo() else 0
        self._seq = 0
        self._last_plan = blocks.plans.newest
        self._last_command = blocks.commands.newest
        self._plans: list[Plan] = []  # come since the last tick
        self._infer_ms = 0.0
        self._last: Output | None = None
        self._nothing = [math.nan] * len(settings.joints)
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
        self._await_due()
        wake_ns = now_ns()
        late_ns = schedule.arrive(wake_ns)
        self._link.read(wake_ns)
        commands = (*((0, event) for event in own_events), *self._new_commands())
        self._read_plans()
        inputs = self._inputs(wake_ns, commands)
        output = self._controller.tick(inputs)
        self._plans.clear()
        self._seq += 1
        self._link.send(messages.pack_action(self._message(output, late_ns)))
        for command, error in output.answers:
            if command:
                self._blocks.answers.write((command, error.encode()[:ANSWER_BYTES]))
        self._blocks.ticks.write_flat(*self._record(inputs, output, wake_ns, late_ns))
        self._last = output
        schedule.advance()

    def _await_due(self) -> None:
        """Sleep until the tick is due, or until shortly before and spend the rest rehearsing.

        The rest of the rest is waited out awake: asleep, the core would be another's and the
        caches with it. Only a tick that nobody can push aside may do so.
        """
        due_ns = self._schedule.due_ns
        sleep_until_ns(due_ns - self._lead_ns)
        if self._lead_ns:
            last_ns = due_ns - _STEP_NS
            while now_ns() < last_ns:
                for _ in self._rehearse(due_ns):
                    if now_ns() >= last_ns:
                        break
            while now_ns() < due_ns:
                pass

    def _rehearse(self, due_ns: int) -> Iterator[None]:
        """Go through the coming tick for nothing, so that it finds the caches warm.

        In steps, the longest first: it may be broken off after each. What arrived is read for
        good; nothing is decided, sent or recorded.
        """
        self._controller.rehearse(due_ns, tuple(self._plans))
        yield
        now = now_ns()
        self._link.read(now)
        yield
        self._read_plans()
        yield
        tuple(self._blocks.commands.since(self._last_command - 1))
        inputs = self._inputs(now, ())
        yield
        if self._last is not None:
            messages.pack_action(self._message(self._last, 0))
            yield
            self._record(inputs, self._last, now, 0)

    def _inputs(self, now: int, commands: tuple[tuple[int, Event], ...]) -> Inputs:
        link = self._link
        ages: dict[str, int | None] = {}
        unchanged: dict[str, int] = {}
        for name, ring in self._blocks.frames.items():
            captured_ns = ring.peek("t_capture_ns")
            changed_ns = ring.peek("t_changed_ns")
            # A frame may be stamped after this tick woke.
            ages[name] = None if captured_ns is None else max(0, now - captured_ns)
            # Between captures: a camera that stops is stale, not frozen.
            unchanged[name] = max(0, captured_ns - changed_ns) if captured_ns and changed_ns else 0
        return Inputs(
            due_ns=self._schedule.due_ns,
            pose=link.pose,
            state_age_ns=None if link.state_ns is None else now - link.state_ns,
            camera_ages_ns=ages,
            camera_unchanged_ns=unchanged,
            controller_age_ns=link.controller_age_ns(now),
            plans=tuple(self._plans),
            commands=commands,
        )

    def _read_plans(self) -> None:
        """Fetch the plans that have come; a tick's record has room for the newest few."""
        for number, record in self._blocks.plans.since(self._last_plan):
            self._last_plan = number
            self._infer_ms = int(record["infer_ns"]) / 1e6
            self._plans.append(Plan(number, int(record["t_observation_ns"]), record["actions"]))
        oldest = self._last_plan - PLANS_PER_TICK
        self._plans = [plan for plan in self._plans if plan.number > oldest]

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
            mode=output.mode,
            action={} if action is None else dict(zip(self._joints, action.tolist(), strict=True)),
            plan=output.plan,
            age_ms=-1.0 if output.plan_age_ns is None else output.plan_age_ns / 1e6,
            n=output.n,
            infer_ms=self._infer_ms,
            late_us=late_ns / 1e3,
            flags=output.flags,
        )

    def _record(
        self, inputs: Inputs, output: Output, wake_ns: int, late_ns: int
    ) -> tuple[float, ...]:
        """One `tick_dtype` record, number by number."""
        events, commands = [0] * EVENTS_PER_TICK, [0] * EVENTS_PER_TICK
        for place, (number, event) in enumerate(inputs.commands):
            events[place], commands[place] = EVENTS.index(event), number
        taken = sum([1 << (self._last_plan - plan.number) for plan in inputs.plans])
        return (
            self._seq,
            inputs.due_ns,
            wake_ns,
            late_ns,
            now_ns(),
            self._schedule.missed,
            output.mode,
            output.n,
            output.flags,
            self._link.listeners,
            output.plan,
            _age(output.plan_age_ns),
            self._last_plan,
            taken,
            *events,
            *commands,
            _age(inputs.state_age_ns),
            _age(inputs.controller_age_ns),
            *[_age(age_ns) for age_ns in inputs.camera_ages_ns.values()],
            *inputs.camera_unchanged_ns.values(),
            *(self._nothing if inputs.pose is None else inputs.pose.tolist()),
            *(self._nothing if output.action is None else output.action.tolist()),
        )


def _lead_ns(period_ns: int) -> int:
    """How long before a tick its rehearsal begins; 0: there is none."""
    return 0 if period_ns < _WARM_PERIOD_NS else min(_LEAD_NS_MAX, round(_LEAD_SHARE * period_ns))


def _age(age_ns: int | None) -> int:
    return -1 if age_ns is None else age_ns


if __name__ == "__main__":
    child.main(run)
