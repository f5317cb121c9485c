"""One control tick as a pure function: what came in, what is commanded, and why.

Joins the planner and its clock, the state machine, the staleness table, the comparison with the
measured arm and the limiter. The tick process only carries its inputs in and its output out, so
a recording of the inputs replays to the same commands bit for bit.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector
from actd.control import state
from actd.control.anchor import Anchor
from actd.control.arming import ArmingChecks, ChunkStatus, unlike_training
from actd.control.chunks import ActionChunk, ChunkBuffer, Cursor, Sample, ease
from actd.control.continuous import ContinuousJoints
from actd.control.following_error import FollowingError
from actd.control.gap import Engagement, GapBudget
from actd.control.limiter import JointLimiter
from actd.control.limits import Flag, Limits
from actd.control.move import Move
from actd.control.settings import ControlSettings
from actd.control.staleness import is_frozen, is_stale
from actd.control.state import MOVING, ORDERED, Event, Phase
from actd.control.takeover import Takeover
from actd.control.tick import Answer, Inputs, Output
from actd.control.time_scaling import ScaledClock
from actd.errors import SEPARATOR

# A bend of the plan may be rounded off by this share of a joint's start distance.
_TOLERANCE = 0.01
_ROBOT_STALE = Flag.STATE_STALE | Flag.CONTROLLER_LOST
_STALE = _ROBOT_STALE | Flag.CAMERA_STALE | Flag.CAMERA_FROZEN
_PLANNED = (Phase.ARMED, Phase.GAP)
_DRIVEN = (*_PLANNED, *ORDERED)
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


class Controller:
    """The decision and its memory. Feed it one `Inputs` per tick, in order of due time."""

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self.phase = Phase.IDLE
        limits, kinds, chunk = settings.limits, settings.kinds, settings.chunk
        timed = np.array([kind != "velocity" for kind in kinds], np.bool_)
        moving = Limits(limits.lower[timed], limits.upper[timed], limits.velocity[timed],
                        limits.acceleration[timed])  # fmt: skip
        ahead = ScaledClock.rows_ahead(moving, chunk.policy_hz, chunk.chunk_size)
        # The hand is waited for; what a gripper is told may well be a step.
        waited = np.array([kind in ("position", "continuous") for kind in kinds], np.bool_)
        held = np.array([kind == "hold" for kind in chunk.interpolation or ("",) * len(kinds)])
        self._buffer = ChunkBuffer(chunk, ahead)
        self._clock = ScaledClock(
            limits,
            _TOLERANCE * settings.start_distance,
            waited & ~held,
            chunk.policy_hz,
            settings.period_ns,
        )
        self._limiter = JointLimiter(limits, settings.period_ns, kinds)
        self._following_error = FollowingError(
            settings.follow_distance, settings.follow_ns, settings.max_age.frozen_ns
        )
        self._continuous = ContinuousJoints(settings.turn)
        self._anchor = Anchor(
            self._limiter, self._following_error, limits, kinds, settings.follow_distance
        )
        self._checks = ArmingChecks(settings.joints, settings.limits, settings.start_distance)
        self._budget = GapBudget(settings.max_age.fault_after_ns)
        self._engagement = Engagement()
        self._move: Move | None = None
        self._takeover: Takeover | None = None
        self._usable_ns = 0  # of the newest plan
        self._since_ns = 0  # when the phase was entered
        self._awake_ns = 0  # what was observed before the last silence shows another arm
        self._last: Inputs | None = None
        self._path: Sample | None = None  # what was followed at the last tick
        self._behind: Vector = np.zeros(len(kinds))
        self._ease_ns = 0
        self._eased_from: Vector = self._limiter.command
        self._reason = ""

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move the arm."""
        return self._limiter.at_rest

    def remember(self, command: Vector) -> None:
        """Go on from `command` (action_dim,), which is known to have been the last one."""
        self._limiter.reset(command)
        self._anchor.has_commanded = True

    def tick(self, inputs: Inputs) -> Output:
        """Decide one tick."""
        due_ns, limiter = inputs.due_ns, self._limiter
        last, self._last = self._last, inputs
        elapsed_ns = 0 if last is None else due_ns - last.due_ns + inputs.suspended_ns
        positions = inputs.positions
        if positions is not None:
            positions = self._continuous.near(positions, limiter.command)
            inputs = (
                inputs if positions is inputs.positions else inputs._replace(positions=positions)
            )
        if inputs.leader is not None and self._continuous.any:
            leader = self._continuous.near(inputs.leader, limiter.command)
            inputs = inputs._replace(leader=leader)
        flags = self._stream_flags(inputs) | self._look_at_leader(inputs)
        if elapsed_ns > self.settings.ttl_ns:
            flags |= self._stand_still(due_ns, elapsed_ns)
        replaced = last is not None and inputs.source != last.source
        self._place(inputs, flags, replaced=replaced)
        self._run_clock(due_ns)
        for chunk in inputs.chunks:
            self._take(chunk, due_ns)
        sample = self._buffer.at(self._clock.now_ns)
        answers = tuple([self._operate(n, e, inputs, sample) for n, e in inputs.commands])
        self._budget.pass_time(elapsed_ns, gap=self.phase is Phase.GAP)
        flags |= self._compare(inputs, flags)
        if self._following_error.frozen:
            flags |= Flag.STATE_STALE
        usable = self._usable(due_ns, sample, flags)
        self._advance(inputs, usable, flags)
        if self.phase is Phase.GAP:
            flags |= Flag.UNDERRUN
        action, limit_flags = self._command(due_ns, usable)
        flags |= limit_flags
        if limit_flags & Flag.NON_FINITE:
            self._enter(Event.FAULT, due_ns, "the policy commanded a value that is not finite")
        rest = None if action is None else limiter.rest()
        move = self._move if self.phase in MOVING else None
        return Output(
            mode=state.MODE[self.phase],
            action=None if action is None else self._continuous.wrap(action),
            rest=None if rest is None else self._wrapped_with(action, rest.position),
            rest_ns=0 if rest is None else rest.duration_ns,
            chunk=sample.number if sample else 0,
            chunk_age_ns=self._chunk_age_ns(due_ns),
            n=sample.n if sample else 0,
            flags=int(flags),
            reason="" if self.phase in (Phase.IDLE, Phase.ARMED) else self._reason,
            answers=answers,
            move=None if move is None else move.progress,
        )

    def _place(self, inputs: Inputs, flags: int, *, replaced: bool) -> None:
        """Let commands begin where the arm is, or end where it is not known any more."""
        anchor, positions = self._anchor, inputs.positions
        if self.phase is Phase.IDLE:
            # Nothing is commanded, so there is nothing to go on from: neither pose nor chunk.
            self._buffer.cursor = Cursor()
            anchor.release()
        doubted = self._following_error.unmoved and self.phase not in _DRIVEN
        away = bool(flags & Flag.CONTROLLER_LOST) or doubted or replaced
        away = away and self.phase not in (Phase.IDLE, Phase.ARMED, *ORDERED)
        if (away and self.at_rest) or (replaced and anchor.is_elsewhere(positions)):
            # It has stopped by itself, is another program by now, or is not where it says: nothing
            # is commanded until it is back, and then from where the arm is.
            anchor.release()
        if positions is not None and not away and not flags & Flag.STATE_STALE:
            anchor.begin(positions)

    def _wrapped_with(self, action: Vector | None, rest: Vector) -> Vector:
        if not self._continuous.any or action is None:
            return rest
        return self._continuous.near(rest, self._continuous.wrap(action))

    def _stand_still(self, due_ns: int, elapsed_ns: int) -> int:
        """No tick for longer than a command lives: the arm has stopped, wherever it is now."""
        why = f"no command was sent for {elapsed_ns / 1e6:.0f} ms"
        lasts = elapsed_ns > self.settings.max_age.fault_after_ns
        self._enter(Event.FAULT if lasts else Event.UNDERRUN, due_ns, why)
        self._limiter.reset(self._limiter.command)
        self._anchor.release()
        self._buffer.clear()
        self._awake_ns = due_ns
        self._behind = np.zeros_like(self._behind)
        self._clock.rate = 0.0
        return int(Flag.SILENCE)

    def _take(self, chunk: ActionChunk, due_ns: int) -> None:
        if chunk.t_observation_ns > due_ns + self.settings.period_ns:
            return  # it would keep every later one out
        if chunk.t_observation_ns < self._awake_ns:
            return
        if not self._checks.take(chunk.actions):
            return
        actions = self._continuous.unwrap(chunk.actions, self._limiter.command)
        if self.phase not in _PLANNED:
            self._buffer.clear()
        start_ns = self._clock.scaled_ns(chunk.t_observation_ns)
        if self._buffer.add(chunk._replace(actions=actions), start_ns, self._clock.now_ns):
            self._usable_ns = chunk.usable_ns

    def _run_clock(self, due_ns: int) -> None:
        if self.phase is Phase.ARMED and self._path is not None:
            path, seam, moving = self._path.path, self._path.seam, self._limiter.motion.velocity
            most = self._eased_share(due_ns)
            self._clock.follow(due_ns, path, seam, self._behind, moving, most=most)
        elif self.phase is Phase.IDLE:
            self._clock.stand(due_ns)
        else:
            self._clock.brake(due_ns, self._limiter.braking_share)

    def _chunk_age_ns(self, due_ns: int) -> int | None:
        # Where the tick woke late, a chunk may be of a moment after the one it was due at.
        observed_ns = self._buffer.newest_observation_ns
        return None if observed_ns is None else max(0, due_ns - observed_ns)

    @property
    def _chunk_limit_ns(self) -> int:
        """How old a plan may be: as configured, else as it says itself."""
        own_ns = self._usable_ns or self.settings.chunk.duration_ns
        return self.settings.max_age.chunk_ns or own_ns

    def _chunk_status(self, due_ns: int, sample: Sample | None) -> ChunkStatus:
        action = None if sample is None else sample.action
        return ChunkStatus(self._chunk_age_ns(due_ns), self._chunk_limit_ns, action)

    def _stream_flags(self, inputs: Inputs) -> int:
        """Which streams are not as they should be."""
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

    def _look_at_leader(self, inputs: Inputs) -> int:
        """Where the leader is; Flag.LEADER_LOST where it may not lead on."""
        if self.phase is not Phase.TAKEOVER or self._takeover is None:
            return 0
        limit_ns = self.settings.max_age.state_ns
        leads = self._takeover.look(inputs.leader, inputs.leader_age_ns, limit_ns)
        return 0 if leads else int(Flag.LEADER_LOST)

    def _usable(self, due_ns: int, sample: Sample | None, flags: int) -> Sample | None:
        """The sample, unless motion may not go on."""
        if flags & _STALE or is_stale(self._chunk_age_ns(due_ns), self._chunk_limit_ns):
            return None
        return sample

    def _compare(self, inputs: Inputs, flags: int) -> int:
        """Measured positions against commands: an arm that does not follow is not driven on.

        Returns Flag.FOLLOWING where it is not.
        """
        following, due_ns = self._following_error, inputs.due_ns
        if self.phase is Phase.IDLE or flags & Flag.STATE_STALE or inputs.positions is None:
            following.look(due_ns, None, None)
            return 0
        following.look(due_ns, inputs.positions, self._limiter.command)
        if self._anchor.is_refused and self.phase not in _DRIVEN:
            return int(Flag.FOLLOWING)
        joint = following.joint
        if joint is None or not self._anchor.is_set:
            return 0
        if self.phase in _DRIVEN:
            name, away = self.settings.joints[joint], inputs.positions - self._limiter.command
            self._enter(
                Event.FAULT,
                due_ns,
                f"joint {name} does not follow: it is {abs(away[joint]):.3g} from its command "
                f"(limit {self.settings.follow_distance[joint]:.3g})",
            )
        # Moved by hand, or without torque: it must not jump back when torque returns.
        elif self.at_rest and not following.unmoved and self._anchor.follow(inputs.positions):
            return 0
        return int(Flag.FOLLOWING)

    def _operate(self, number: int, event: Event, inputs: Inputs, sample: Sample | None) -> Answer:
        rejected = state.rejection(self.phase, event)
        warnings: tuple[str, ...] = ()
        pose = self._pose(event, sample)
        if rejected is None and event in _BEGIN:
            problems = self._problems(event, inputs, sample)
            if event is Event.PARK and pose is None:
                problems.append(
                    "there is no pose park; `actd pose save park` and start the daemon again"
                )
            rejected = SEPARATOR.join(problems) or None
        if rejected is None and event in _FROM_REST and not self.at_rest:
            rejected = "the arm is still ramping to rest; try again"
        if rejected is not None:
            return Answer(number, rejected)
        if event is Event.ARM and inputs.positions is not None:
            settings = self.settings
            warnings = unlike_training(
                settings.joints, inputs.positions, settings.trained_low, settings.trained_high
            )
        if event in (*_BEGIN, Event.RESET):
            self._budget.clear()
        self._engagement = Engagement(inputs.source, inputs.openings)
        own = _OWN_REASONS.get(event, "")
        self._enter(event, inputs.due_ns, f"operator: {event.value}" if number else own)
        if pose is not None and inputs.positions is not None:
            self._anchor.begin(inputs.positions)
            self._move = self._move_to(pose)
        if event is Event.TAKEOVER and inputs.positions is not None and inputs.leader is not None:
            self._anchor.begin(inputs.positions)
            self._eased_from = self._limiter.rest().position
            settings = self.settings
            self._takeover = Takeover(settings.joints, inputs.leader, settings.start_distance)
        return Answer(number, "", warnings)

    def _pose(self, event: Event, sample: Sample | None) -> Vector | None:
        """Where this order moves the arm, (action_dim,); None: it does not, or nobody knows."""
        if event is Event.PARK:
            return self.settings.park
        if event is not Event.APPROACH or sample is None:
            return None
        return sample.action if self.settings.start is None else self.settings.start

    def _move_to(self, pose: Vector) -> Move:
        settings, limits, here = self.settings, self.settings.limits, self._limiter.command
        stays = np.isnan(pose) | (np.array(settings.kinds) == "velocity")
        goal = np.clip(np.where(stays, here, pose), limits.lower, limits.upper)
        return Move(here, self._continuous.near(goal, here), limits, settings.period_ns)

    def _problems(self, event: Event, inputs: Inputs, sample: Sample | None) -> list[str]:
        """Why motion may not begin in this way, in words; empty when it may."""
        checks, command = self._checks, self._limiter.command
        blind = event in (Event.PARK, Event.TAKEOVER)
        problems = checks.streams(inputs, self.settings.max_age, cameras=not blind)
        chunk = self._chunk_status(inputs.due_ns, sample)
        if not blind:
            parks = event is Event.APPROACH and self.settings.park is not None
            without = "; `actd park` moves without the policy" if parks else ""
            problems += [f"{problem}{without}" for problem in checks.chunk(chunk)]
        if event is Event.ARM:
            remedy = _TO_START.get(self.phase, _TO_START_USUALLY)
            problems += checks.first_command(inputs, chunk, remedy)
        if event is Event.TAKEOVER:
            problems += checks.leader(inputs, self.settings.max_age)
        # An arm that is driven lags behind its command, and is compared with it in every tick.
        if self.phase not in (*_PLANNED, Phase.TAKEOVER):
            unmoved = self._following_error.unmoved
            problems += checks.standstill(inputs.positions, command, unmoved=unmoved)
        return problems

    def _advance(self, inputs: Inputs, sample: Sample | None, flags: int) -> None:
        due_ns = inputs.due_ns
        if self.phase in _DRIVEN:
            changed = self._engagement.changed(inputs, cameras=self.phase not in _BLIND)
            if changed:
                self._enter(Event.FAULT, due_ns, changed)
        if self.phase in MOVING and self._move is not None:
            self._advance_move(inputs, self._move, sample, flags)
        if self.phase is Phase.TAKEOVER and flags & (_ROBOT_STALE | Flag.LEADER_LOST):
            lost = "" if self._takeover is None else self._takeover.lost
            why = SEPARATOR.join(filter(None, (self._gap_reason(inputs), lost)))
            self._enter(Event.UNDERRUN, due_ns, why)
        if self.phase is Phase.ARMED and sample is None:
            self._budget.begin()
            self._enter(Event.UNDERRUN, due_ns, self._gap_reason(inputs))
        if self.phase is not Phase.GAP:
            return
        lasts = due_ns - self._since_ns >= self.settings.max_age.fault_after_ns
        if lasts or self._budget.spent:
            what = "the gap lasts" if lasts else "gaps again and again"
            why = self._reason if sample else self._gap_reason(inputs)
            self._enter(Event.EXPIRE, due_ns, f"{what}: {why}")
        elif sample is not None and self._agree(inputs, sample):
            self._enter(Event.RECOVER, due_ns)

    def _advance_move(self, inputs: Inputs, move: Move, sample: Sample | None, flags: int) -> None:
        """End a move that may not go on, or that has arrived: command and arm are at the goal."""
        due_ns, over_ns = inputs.due_ns, move.over_ns
        parks = self.phase is Phase.PARKING
        if flags & _ROBOT_STALE if parks else sample is None:
            self._enter(Event.UNDERRUN, due_ns, self._gap_reason(inputs))
            return
        there = over_ns is not None and self.at_rest
        if over_ns is None or not there or self._anchor.is_elsewhere(inputs.positions):
            return
        if parks:
            self._enter(Event.ARRIVE, due_ns, state.PARKED)
            return
        # What the policy says to an arm that was still on its way is no beginning.
        problems = self._problems(Event.ARM, inputs, sample)
        if (self._chunk_age_ns(due_ns) or 0) > over_ns:
            problems.append("the policy has not yet seen the arm where it is now")
        if not problems:
            self._enter(Event.ARRIVE, due_ns)
        elif over_ns > self.settings.max_age.fault_after_ns:
            why = f"not armed where the move ended: {SEPARATOR.join(problems)}"
            self._enter(Event.HOLD, due_ns, why)

    def _gap_reason(self, inputs: Inputs) -> str:
        blind = self.phase in _BLIND
        return self._checks.gap_reason(
            inputs,
            self.settings.max_age,
            None if blind else self._chunk_status(inputs.due_ns, None),
            frozen=self._following_error.frozen,
        )

    def _agree(self, inputs: Inputs, sample: Sample) -> bool:
        """Whether plan, command and arm are at one place."""
        if inputs.positions is None or not self._anchor.is_set:
            return False
        near_path = not self._checks.too_far("", sample.action, self._limiter.command, "")
        return near_path and not self._anchor.is_elsewhere(inputs.positions)

    def _enter(self, event: Event, due_ns: int, reason: str = "") -> None:
        phase = state.after(self.phase, event)
        if phase is self.phase:
            return
        gap_ns = due_ns - self._since_ns
        # Where nothing is commanded, STOP commands nothing either.
        self._anchor.renew(allowed=not (self.phase is Phase.IDLE and phase is Phase.STOP))
        self.phase, self._since_ns, self._reason = phase, due_ns, reason
        if phase in (Phase.ARMED, Phase.TAKEOVER):
            # What stood still for a moment only is not worth a second.
            whole = self.settings.ease_in_ns
            self._ease_ns = min(whole, gap_ns) if event is Event.RECOVER else whole
            self._eased_from = self._limiter.command
        elif phase is Phase.IDLE:
            self._buffer.clear()  # what led to a fault must not be what the arm starts from

    def _command(self, due_ns: int, sample: Sample | None) -> tuple[Vector | None, int]:
        limiter = self._limiter
        self._path = sample if self.phase is Phase.ARMED else None
        if self.phase is Phase.IDLE or not self._anchor.is_set:
            return None, 0
        self._anchor.has_commanded = True
        if self.phase in MOVING and self._move is not None:
            return limiter.step(self._move.step(), self._move.low, self._move.high)
        if self.phase is Phase.TAKEOVER and self._takeover is not None:
            return self._command_led(self._eased_share(due_ns), self._takeover.leader)
        if self.phase is not Phase.ARMED or sample is None:
            return limiter.brake(), 0
        share, flags, target = self._eased_share(due_ns), 0, sample.action
        if share < 1.0:
            target = self._eased_from + share * (target - self._eased_from)
            flags = int(Flag.EASING)
        elif self._clock.rate < 1.0:
            flags = int(Flag.SLOWED)
        low, high = np.minimum(sample.low, target), np.maximum(sample.high, target)
        command, limited = limiter.step(target, low, high)
        self._behind = limiter.motion.target - command
        return command, flags | limited

    def _command_led(self, share: float, leader: Vector) -> tuple[Vector, int]:
        """The next command to `leader` (action_dim,), and no further: its way is not known."""
        target = self._eased_from + share * (leader - self._eased_from)
        command, limited = self._limiter.step(target, target, target)
        return command, limited | (Flag.EASING if share < 1.0 else 0)

    def _eased_share(self, due_ns: int) -> float:
        """How much of the plan is followed, from 0 when armed to 1, with no step in speed."""
        elapsed_ns = due_ns - self._since_ns
        return 1.0 if elapsed_ns >= self._ease_ns else ease(elapsed_ns / self._ease_ns)
