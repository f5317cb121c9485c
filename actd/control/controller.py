"""One control tick as a pure function: what came in, what is commanded, and why.

Joins the planner, the state machine, the staleness table and the guard. The tick process
only carries its inputs in and its output out, so a recording of the inputs replays to the
same commands bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actd.control import state
from actd.control.guard import Flag, Guard, Limits, Vector
from actd.control.plan import Plan, Planner, PlanSettings, Reading, Sample, ease
from actd.control.staleness import (
    MaxAge,
    camera_complaints,
    complaint,
    is_frozen,
    is_stale,
)
from actd.control.state import Event, Phase
from actd.mode import Mode


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Everything the decision depends on, besides the inputs of the tick.

    `start_distance` (action_dim,): how far the first command may be from the measured pose.
    """

    joints: tuple[str, ...]
    period_ns: int
    plan: PlanSettings
    limits: Limits
    start_distance: Vector
    max_age: MaxAge
    ease_in_ns: int
    actuation_latency_ns: int


class Inputs(NamedTuple):
    """What is known at one tick. Ages are None for a stream that never delivered.

    `camera_unchanged_ns` is how long each camera has shown the same picture;
    `controller_age_ns` is 0 while a controller listens, else the time since the last one left.
    """

    due_ns: int
    pose: Vector | None
    state_age_ns: int | None
    camera_ages_ns: Mapping[str, int | None]
    camera_unchanged_ns: Mapping[str, int]
    controller_age_ns: int | None
    plans: tuple[Plan, ...] = ()
    commands: tuple[tuple[int, Event], ...] = ()


class Output(NamedTuple):
    """What the tick commands: `action` (action_dim,) or None while nothing is commanded.

    `plan_age_ns` is the age of the newest plan's observation, None without one; `answers`
    holds, per operator command, its number and the refusal ("" when done).
    """

    mode: Mode
    action: Vector | None
    plan: int
    plan_age_ns: int | None
    n: int
    flags: int
    answers: tuple[tuple[int, str], ...]


class Controller:
    """The decision and its memory. Feed it one `Inputs` per tick, in order of due time."""

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self.phase = Phase.IDLE
        self._planner = Planner(settings.plan)
        self._guard = Guard(settings.limits, settings.period_ns)
        self._since_ns = 0  # when the phase was entered
        self._last_inputs: Inputs | None = None
        self._eased_from: Vector = self._guard.position

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move the arm."""
        return self._guard.at_rest

    def tick(self, inputs: Inputs) -> Output:
        """Decide one tick."""
        due_ns = inputs.due_ns
        last, self._last_inputs = self._last_inputs, inputs
        if last is not None and due_ns - last.due_ns > self.settings.max_age.fault_after_ns:
            # No tick for so long is a gap too, in which nobody commanded the arm.
            self._enter(Event.FAULT, due_ns)
        for plan in inputs.plans:
            self._planner.add(plan)
        if self.phase is Phase.IDLE:
            # Nothing is commanded, so there is nothing to go on from: neither pose nor chunk.
            self._planner.reading = Reading()
            if inputs.pose is not None:
                self._guard.reset(inputs.pose)
        sample = self._planner.at(due_ns + self.settings.actuation_latency_ns)
        flags = self._stream_flags(inputs)
        answers = tuple([self._operate(n, e, inputs, sample) for n, e in inputs.commands])
        self._advance(due_ns, self._usable(due_ns, sample, flags))
        if self.phase is Phase.GAP:
            flags |= Flag.STARVED
        action, guard_flags = self._command(due_ns, sample)
        if guard_flags:
            flags |= guard_flags
            if guard_flags & Flag.NON_FINITE:
                self._enter(Event.FAULT, due_ns)
        return Output(
            mode=state.MODE[self.phase],
            action=action,
            plan=sample.number if sample else 0,
            plan_age_ns=self._plan_age_ns(due_ns),
            n=sample.n if sample else 0,
            flags=int(flags),
            answers=answers,
        )

    def rehearse(self, due_ns: int, plans: tuple[Plan, ...] = ()) -> None:
        """Tick for nothing: as if nothing but `plans` had come by `due_ns`, and forgotten at once.

        A tick that comes after a while of other processes' work finds none of its code and
        data in the caches, and takes several times as long. Call this just before it is due,
        with what the tick itself will be given: planner and guard then know their answers.
        """
        last = self._last_inputs
        if last is None:
            return
        for plan in plans:
            self._planner.add(plan)
        memory = (self.phase, self._since_ns, self._eased_from)
        motion, reading = self._guard.motion, self._planner.reading
        self.tick(last._replace(due_ns=due_ns, plans=(), commands=()))
        self.phase, self._since_ns, self._eased_from = memory
        self._last_inputs = last
        self._guard.motion, self._planner.reading = motion, reading

    def _plan_age_ns(self, due_ns: int) -> int | None:
        observed_ns = self._planner.newest_observation_ns
        return None if observed_ns is None else due_ns - observed_ns

    def _stream_flags(self, inputs: Inputs) -> int:
        """Which streams are not as they should be; no words are made while all is well."""
        limits = self.settings.max_age
        flags = 0
        if is_stale(inputs.state_age_ns, limits.state_ns):
            flags |= Flag.STATE_STALE
        if is_stale(inputs.controller_age_ns, limits.controller_ns):
            flags |= Flag.CONTROLLER_LOST
        for name, age_ns in inputs.camera_ages_ns.items():
            if is_stale(age_ns, limits.camera_ns):
                flags |= Flag.CAMERA_STALE
            if is_frozen(inputs.camera_unchanged_ns[name], limits.frozen_ns):
                flags |= Flag.CAMERA_FROZEN
        return flags

    def _usable(self, due_ns: int, sample: Sample | None, flags: int) -> Sample | None:
        """The sample, unless motion may not go on. A camera counts through the plan's age."""
        if flags and flags & (Flag.STATE_STALE | Flag.CONTROLLER_LOST):
            return None
        if is_stale(self._plan_age_ns(due_ns), self.settings.max_age.plan_ns):
            return None
        return sample

    def _arm_problems(self, inputs: Inputs, sample: Sample | None) -> list[str]:
        """Why the arm may not be armed, in words; empty when it may."""
        limits = self.settings.max_age
        problems = []
        if is_stale(inputs.state_age_ns, limits.state_ns):
            problems.append(complaint("robot state", inputs.state_age_ns, limits.state_ns))
        plan_age_ns = self._plan_age_ns(inputs.due_ns)
        if is_stale(plan_age_ns, limits.plan_ns):
            problems.append(complaint("the plan", plan_age_ns, limits.plan_ns))
        elif sample is None:
            problems.append("no plan covers this moment")
        problems += camera_complaints(inputs.camera_ages_ns, inputs.camera_unchanged_ns, limits)
        if inputs.controller_age_ns != 0:
            problems.append("no controller is listening to the actions")
        if sample is not None and inputs.pose is not None:
            problems += self._too_far(
                "the policy's first command", sample.action, inputs.pose, "move the arm nearer"
            )
            # After a hold the arm may have been moved by hand, or sagged.
            problems += self._too_far(
                "the held command", self._guard.position, inputs.pose, "reset first"
            )
        return problems

    def _too_far(self, what: str, command: Vector, pose: Vector, remedy: str) -> list[str]:
        inside = np.clip(command, self.settings.limits.lower, self.settings.limits.upper)
        distance = np.abs(inside - pose)
        allowed = self.settings.start_distance
        return [
            f"joint {self.settings.joints[j]}: {what} is {distance[j]:.3g} from the measured "
            f"pose (limit {allowed[j]:.3g}): {remedy}"
            for j in np.flatnonzero(distance > allowed)
        ]

    def _operate(
        self, number: int, event: Event, inputs: Inputs, sample: Sample | None
    ) -> tuple[int, str]:
        refused = state.refusal(self.phase, event)
        if refused is None and event is Event.ARM:
            refused = "; ".join(self._arm_problems(inputs, sample)) or None
        if refused is None and event is Event.RESET and not self.at_rest:
            refused = "the arm is still ramping to rest: try again"
        if refused is None:
            self._enter(event, inputs.due_ns)
        return number, refused or ""

    def _advance(self, due_ns: int, sample: Sample | None) -> None:
        if self.phase is Phase.ARMED and sample is None:
            self._enter(Event.STARVE, due_ns)
        elif self.phase is Phase.GAP:
            if due_ns - self._since_ns > self.settings.max_age.fault_after_ns:
                self._enter(Event.EXPIRE, due_ns)
            elif sample is not None and self._is_near(sample):
                self._enter(Event.RECOVER, due_ns)

    def _is_near(self, sample: Sample) -> bool:
        return not self._too_far("", sample.action, self._guard.position, "")

    def _enter(self, event: Event, due_ns: int) -> None:
        phase = state.after(self.phase, event)
        if phase is self.phase:
            return
        self.phase, self._since_ns = phase, due_ns
        if phase is Phase.ARMED:
            self._eased_from = self._guard.position
        elif phase is Phase.IDLE:
            self._planner.clear()  # what led to a fault must not be what the arm starts from

    def _command(self, due_ns: int, sample: Sample | None) -> tuple[Vector | None, int]:
        if self.phase is Phase.IDLE:
            return None, 0
        if self.phase is not Phase.ARMED or sample is None:
            return self._guard.brake(), 0
        share = self._eased_share(due_ns)
        if share >= 1.0:
            return self._guard.step(sample.action)
        target = self._eased_from + share * (sample.action - self._eased_from)
        command, flags = self._guard.step(target)
        return command, flags | Flag.EASING

    def _eased_share(self, due_ns: int) -> float:
        """How much of the plan is followed, from 0 when armed to 1, with no step in speed."""
        elapsed_ns = due_ns - self._since_ns
        if elapsed_ns >= self.settings.ease_in_ns:
            return 1.0
        return ease(elapsed_ns / self.settings.ease_in_ns)
