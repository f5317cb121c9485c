"""Which mode the arm is in and why: what orders, streams and arrivals make of it.

Joins the table of `state` with what must be true besides: whether motion may begin, whether a
gap may end by itself, whether a move has arrived. What is commanded meanwhile is the controller's.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector
from actd.control import state
from actd.control.anchor import Anchor
from actd.control.arming import ArmingChecks, ChunkStatus, unlike_training
from actd.control.chunks import ChunkBuffer, Sample, ease
from actd.control.continuous import ContinuousJoints
from actd.control.following_error import FollowingError
from actd.control.gap import Engagement, GapBudget
from actd.control.limiter import JointLimiter
from actd.control.limits import Flag
from actd.control.move import Move
from actd.control.settings import ControlSettings
from actd.control.state import MOVING, ORDERED, Event, Phase
from actd.control.takeover import Takeover
from actd.control.tick import Answer, Inputs
from actd.errors import SEPARATOR

PLANNED = (Phase.ARMED, Phase.GAP)
"""Chunks are followed, or waited for."""
DRIVEN = (*PLANNED, *ORDERED)
ROBOT_STALE = Flag.STATE_STALE | Flag.CONTROLLER_LOST
# These need neither cameras nor chunks.
_BLIND = (Phase.PARKING, Phase.TAKEOVER)
_BEGIN = (Event.ARM, Event.PARK, Event.APPROACH, Event.TAKEOVER)
_FROM_REST = (Event.PARK, Event.APPROACH, Event.RESET)
# What an operator does about an arm that is not where the policy starts.
_TO_START = {
    Phase.APPROACHING: "save a pose start where the policy was trained to start",
    Phase.TAKEOVER: "lead the arm there, or hold, and `actd arm --from-here` moves it there",
}
_TO_START_USUALLY = "`actd arm --from-here` moves it there"
# Why the daemon itself ends motion.
_OWN_REASONS = {
    Event.FAULT: "a process of the daemon ended; see its log",
    Event.HOLD: "the daemon is ending",
    Event.STOP: "the daemon is ending",
}


class Modes:
    """The `phase` and its `reason`; `move` and `takeover` are of the newest order of their kind.

    `eased_from` (action_dim,) is the command from which the plan, or a leader, is eased in;
    `armed_ns` is when the policy was told to lead.
    """

    def __init__(
        self,
        settings: ControlSettings,
        *,
        checks: ArmingChecks,
        buffer: ChunkBuffer,
        limiter: JointLimiter,
        following_error: FollowingError,
        anchor: Anchor,
        continuous: ContinuousJoints,
    ) -> None:
        self._settings = settings
        self._checks = checks
        self._buffer = buffer
        self._limiter = limiter
        self._following_error = following_error
        self._anchor = anchor
        self._continuous = continuous
        self._budget = GapBudget(settings.max_age.fault_after_ns)
        self._engagement = Engagement()
        self._since_ns = 0
        self._ease_ns = 0
        self.phase = Phase.IDLE
        self.reason = ""
        self.armed_ns = 0
        self.move: Move | None = None
        self.takeover: Takeover | None = None
        self.eased_from: Vector = limiter.command

    @property
    def chunk_limit_ns(self) -> int:
        """How old a plan may be: as configured, else as it says itself."""
        return self._settings.max_age.chunk_ns or self._buffer.usable_ns

    def eased_share(self, due_ns: int) -> float:
        """How much of the plan is followed, from 0 when armed to 1, with no step in speed."""
        elapsed_ns = due_ns - self._since_ns
        return 1.0 if elapsed_ns >= self._ease_ns else ease(elapsed_ns / self._ease_ns)

    def enter(self, event: Event, due_ns: int, reason: str = "") -> None:
        """Go where `event` leads from here, if it leads anywhere."""
        phase = state.after(self.phase, event)
        if phase is self.phase:
            return
        gap_ns = due_ns - self._since_ns
        # Where nothing is commanded, STOP commands nothing either.
        self._anchor.renew(allowed=not (self.phase is Phase.IDLE and phase is Phase.STOP))
        self.phase, self._since_ns, self.reason = phase, due_ns, reason
        if phase in (Phase.ARMED, Phase.TAKEOVER):
            # What stood still for a moment only is not worth a second.
            whole = self._settings.ease_in_ns
            self._ease_ns = min(whole, gap_ns) if event is Event.RECOVER else whole
            self.eased_from = self._limiter.command
            if phase is Phase.ARMED and event is not Event.RECOVER:
                self.armed_ns = due_ns
        elif phase is Phase.IDLE:
            self._buffer.clear()  # what led to a fault must not be what the arm starts from

    def obey(self, number: int, event: Event, inputs: Inputs, sample: Sample | None) -> Answer:
        """Carry out order `number` of an operator (0: the daemon's own), or say why not."""
        settings, positions, leader = self._settings, inputs.positions, inputs.leader
        pose = self._pose(event, sample)
        rejected = state.rejection(self.phase, event)
        if rejected is None and event in _BEGIN:
            problems = self._problems(event, inputs, sample)
            if event is Event.PARK and pose is None:
                problems.append(
                    "there is no pose park; `actd pose save park` and start the daemon again"
                )
            rejected = SEPARATOR.join(problems) or None
        if rejected is None and event in _FROM_REST and not self._limiter.at_rest:
            rejected = "the arm is still ramping to rest; try again"
        if rejected is not None:
            return Answer(number, rejected)
        warnings: tuple[str, ...] = ()
        if event is Event.ARM and positions is not None:
            warnings = unlike_training(
                settings.joints, positions, settings.trained_low, settings.trained_high
            )
        if event in (*_BEGIN, Event.RESET):
            self._budget.clear()
        self._engagement = Engagement(inputs.source, inputs.openings)
        own = _OWN_REASONS.get(event, "")
        self.enter(event, inputs.due_ns, f"operator: {event.value}" if number else own)
        if pose is not None and positions is not None:
            self._anchor.begin(positions)
            self.move = self._move_to(pose)
        if event is Event.TAKEOVER and positions is not None and leader is not None:
            self._anchor.begin(positions)
            self.eased_from = self._limiter.rest().position
            self.takeover = Takeover(settings.joints, leader, settings.start_distance)
        return Answer(number, "", warnings)

    def advance(self, inputs: Inputs, sample: Sample | None, flags: int, elapsed_ns: int) -> None:
        """Leave what may not go on, or is over; `sample` None: there is nothing to follow."""
        due_ns = inputs.due_ns
        self._budget.pass_time(elapsed_ns, gap=self.phase is Phase.GAP)
        if self.phase in DRIVEN:
            changed = self._engagement.changed(inputs, cameras=self.phase not in _BLIND)
            if changed:
                self.enter(Event.FAULT, due_ns, changed)
        if self.phase in MOVING and self.move is not None:
            self._advance_move(inputs, self.move, sample, flags)
        if self.phase is Phase.TAKEOVER and flags & (ROBOT_STALE | Flag.LEADER_LOST):
            lost = "" if self.takeover is None else self.takeover.lost
            why = SEPARATOR.join(filter(None, (self._gap_reason(inputs), lost)))
            self.enter(Event.UNDERRUN, due_ns, why)
        if self.phase is Phase.ARMED and sample is None:
            self._budget.begin()
            self.enter(Event.UNDERRUN, due_ns, self._gap_reason(inputs))
        if self.phase is not Phase.GAP:
            return
        lasts = due_ns - self._since_ns >= self._settings.max_age.fault_after_ns
        if lasts or self._budget.spent:
            what = "the gap lasts" if lasts else "gaps again and again"
            why = self.reason if sample else self._gap_reason(inputs)
            self.enter(Event.EXPIRE, due_ns, f"{what}: {why}")
        elif sample is not None and self._agree(inputs, sample):
            self.enter(Event.RECOVER, due_ns)

    def _advance_move(self, inputs: Inputs, move: Move, sample: Sample | None, flags: int) -> None:
        """End a move that may not go on, or that has arrived: command and arm are at the goal."""
        due_ns, over_ns = inputs.due_ns, move.over_ns
        parks = self.phase is Phase.PARKING
        if flags & ROBOT_STALE if parks else sample is None:
            self.enter(Event.UNDERRUN, due_ns, self._gap_reason(inputs))
            return
        there = over_ns is not None and self._limiter.at_rest
        if over_ns is None or not there or self._anchor.is_elsewhere(inputs.positions):
            return
        if parks:
            self.enter(Event.ARRIVE, due_ns, state.PARKED)
            return
        # What the policy says to an arm that was still on its way is no beginning.
        problems = self._problems(Event.ARM, inputs, sample)
        if (self._buffer.age_ns(due_ns) or 0) > over_ns:
            problems.append("the policy has not yet seen the arm where it is now")
        if not problems:
            self.enter(Event.ARRIVE, due_ns)
        elif over_ns > self._settings.max_age.fault_after_ns:
            why = f"not armed where the move ended: {SEPARATOR.join(problems)}"
            self.enter(Event.HOLD, due_ns, why)

    def _pose(self, event: Event, sample: Sample | None) -> Vector | None:
        """Where this order moves the arm, (action_dim,); None: it does not, or nobody knows."""
        if event is Event.PARK:
            return self._settings.park
        if event is not Event.APPROACH or sample is None:
            return None
        return sample.action if self._settings.start is None else self._settings.start

    def _move_to(self, pose: Vector) -> Move:
        settings, limits, here = self._settings, self._settings.limits, self._limiter.command
        stays = np.isnan(pose) | (np.array(settings.kinds) == "velocity")
        goal = np.clip(np.where(stays, here, pose), limits.lower, limits.upper)
        return Move(here, self._continuous.near(goal, here), limits, settings.period_ns)

    def _problems(self, event: Event, inputs: Inputs, sample: Sample | None) -> list[str]:
        """Why motion may not begin in this way, in words; empty when it may."""
        checks, max_age = self._checks, self._settings.max_age
        blind = event in (Event.PARK, Event.TAKEOVER)
        problems = checks.streams(inputs, max_age, cameras=not blind)
        chunk = self._chunk_status(inputs.due_ns, sample)
        if not blind:
            parks = event is Event.APPROACH and self._settings.park is not None
            without = "; `actd park` moves without the policy" if parks else ""
            problems += [f"{problem}{without}" for problem in checks.chunk(chunk)]
        if event is Event.ARM:
            remedy = _TO_START.get(self.phase, _TO_START_USUALLY)
            problems += checks.first_command(inputs, chunk, remedy)
        if event is Event.TAKEOVER:
            problems += checks.leader(inputs, max_age)
        # An arm that is driven lags behind its command, and is compared with it in every tick.
        if self.phase not in (*PLANNED, Phase.TAKEOVER):
            command, unmoved = self._limiter.command, self._following_error.unmoved
            problems += checks.standstill(inputs.positions, command, unmoved=unmoved)
        return problems

    def _gap_reason(self, inputs: Inputs) -> str:
        blind = self.phase in _BLIND
        return self._checks.gap_reason(
            inputs,
            self._settings.max_age,
            None if blind else self._chunk_status(inputs.due_ns, None),
            frozen=self._following_error.frozen,
        )

    def _chunk_status(self, due_ns: int, sample: Sample | None) -> ChunkStatus:
        action = None if sample is None else sample.action
        return ChunkStatus(self._buffer.age_ns(due_ns), self.chunk_limit_ns, action)

    def _agree(self, inputs: Inputs, sample: Sample) -> bool:
        """Whether plan, command and arm are at one place."""
        if inputs.positions is None or not self._anchor.is_set:
            return False
        near_path = not self._checks.too_far("", sample.action, self._limiter.command, "")
        return near_path and not self._anchor.is_elsewhere(inputs.positions)
