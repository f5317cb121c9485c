"""One control tick as a pure function: what came in, what is commanded, and why.

Joins the planner and its clock, the modes, the staleness table, the comparison with the
measured arm and the limiter. The tick process only carries its inputs in and its output out, so
a recording of the inputs replays to the same commands bit for bit.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector
from actd.control import state
from actd.control.anchor import Anchor
from actd.control.arming import ArmingChecks
from actd.control.chunks import ActionChunk, ChunkBuffer, Cursor, Sample
from actd.control.continuous import ContinuousJoints
from actd.control.following_error import FollowingError
from actd.control.limiter import JointLimiter
from actd.control.limits import Flag, Limits
from actd.control.modes import DRIVEN, PLANNED, ROBOT_STALE, Modes
from actd.control.settings import ControlSettings
from actd.control.staleness import is_frozen, is_stale
from actd.control.state import MOVING, ORDERED, Event, Phase
from actd.control.tick import Inputs, Output
from actd.control.time_scaling import ScaledClock

# A bend of the plan may be rounded off by this share of a joint's start distance.
_TOLERANCE = 0.01
_STALE = ROBOT_STALE | Flag.CAMERA_STALE | Flag.CAMERA_FROZEN


class Controller:
    """The decision and its memory. Feed it one `Inputs` per tick, in order of due time."""

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
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
        self.modes = Modes(
            settings,
            checks=self._checks,
            buffer=self._buffer,
            limiter=self._limiter,
            following_error=self._following_error,
            anchor=self._anchor,
            continuous=self._continuous,
        )
        self._awake_ns = 0  # what was observed before the last silence shows another arm
        self._last: Inputs | None = None
        self._path: Sample | None = None  # what was followed at the last tick
        self._behind: Vector = np.zeros(len(kinds))

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
        due_ns, limiter, modes = inputs.due_ns, self._limiter, self.modes
        last, self._last = self._last, inputs
        elapsed_ns = 0 if last is None else due_ns - last.due_ns + inputs.suspended_ns
        if self._continuous.any:
            inputs = self._in_turn(inputs)
        flags = self._stream_flags(inputs) | self._look_at_leader(inputs)
        if elapsed_ns > self.settings.ttl_ns:
            flags |= self._stand_still(due_ns, elapsed_ns)
        replaced = last is not None and inputs.source != last.source
        self._place(inputs, flags, replaced=replaced)
        self._run_clock(due_ns)
        for chunk in inputs.chunks:
            self._take(chunk, due_ns)
        sample = self._buffer.at(self._clock.now_ns)
        answers = tuple([modes.obey(n, e, inputs, sample) for n, e in inputs.commands])
        flags |= self._compare(inputs, flags)
        if self._following_error.frozen:
            flags |= Flag.STATE_STALE
        usable = self._usable(due_ns, sample, flags)
        modes.advance(inputs, usable, flags, elapsed_ns)
        if modes.phase is Phase.GAP:
            flags |= Flag.UNDERRUN
        action, limit_flags = self._command(due_ns, usable)
        flags |= limit_flags
        if limit_flags & Flag.NON_FINITE:
            modes.enter(Event.FAULT, due_ns, "the policy commanded a value that is not finite")
        rest = None if action is None else limiter.rest()
        move = modes.move if modes.phase in MOVING else None
        return Output(
            mode=state.MODE[modes.phase],
            action=None if action is None else self._continuous.wrap(action),
            rest=None if rest is None else self._wrapped_with(action, rest.position),
            rest_ns=0 if rest is None else rest.duration_ns,
            chunk=sample.number if sample else 0,
            chunk_age_ns=self._buffer.age_ns(due_ns),
            n=sample.n if sample else 0,
            flags=int(flags),
            reason="" if modes.phase in (Phase.IDLE, Phase.ARMED) else modes.reason,
            answers=answers,
            move=None if move is None else move.progress,
        )

    def _in_turn(self, inputs: Inputs) -> Inputs:
        """Arm and leader in the turn of a continuous joint that is nearest to the command."""
        near, command = self._continuous.near, self._limiter.command
        positions, leader = inputs.positions, inputs.leader
        return inputs._replace(
            positions=None if positions is None else near(positions, command),
            leader=None if leader is None else near(leader, command),
        )

    def _wrapped_with(self, action: Vector | None, rest: Vector) -> Vector:
        if not self._continuous.any or action is None:
            return rest
        return self._continuous.near(rest, self._continuous.wrap(action))

    def _place(self, inputs: Inputs, flags: int, *, replaced: bool) -> None:
        """Let commands begin where the arm is, or end where it is not known any more."""
        anchor, positions, phase = self._anchor, inputs.positions, self.modes.phase
        if phase is Phase.IDLE:
            # Nothing is commanded, so there is nothing to go on from: neither pose nor chunk.
            self._buffer.cursor = Cursor()
            anchor.release()
        doubted = self._following_error.unmoved and phase not in DRIVEN
        away = bool(flags & Flag.CONTROLLER_LOST) or doubted or replaced
        away = away and phase not in (Phase.IDLE, Phase.ARMED, *ORDERED)
        if (away and self.at_rest) or (replaced and anchor.is_elsewhere(positions)):
            # It has stopped by itself, is another program by now, or is not where it says: nothing
            # is commanded until it is back, and then from where the arm is.
            anchor.release()
        if positions is not None and not away and not flags & Flag.STATE_STALE:
            anchor.begin(positions)

    def _stand_still(self, due_ns: int, elapsed_ns: int) -> int:
        """No tick for longer than a command lives: the arm has stopped, wherever it is now."""
        why = f"no command was sent for {elapsed_ns / 1e6:.0f} ms"
        lasts = elapsed_ns > self.settings.max_age.fault_after_ns
        self.modes.enter(Event.FAULT if lasts else Event.UNDERRUN, due_ns, why)
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
        # What was seen before somebody armed may have been put elsewhere since.
        armed_ns, before_ns = self.modes.armed_ns, self._buffer.observed_ns
        is_first = before_ns is not None and before_ns < armed_ns <= chunk.t_observation_ns
        if self.modes.phase not in PLANNED or is_first:
            self._buffer.clear()
        start_ns = self._clock.scaled_ns(chunk.t_observation_ns)
        self._buffer.add(chunk._replace(actions=actions), start_ns, self._clock.now_ns)

    def _run_clock(self, due_ns: int) -> None:
        phase = self.modes.phase
        if phase is Phase.ARMED and self._path is not None:
            path, seam, moving = self._path.path, self._path.seam, self._limiter.motion.velocity
            most = self.modes.eased_share(due_ns)
            self._clock.follow(due_ns, path, seam, self._behind, moving, most=most)
        elif phase is Phase.IDLE:
            self._clock.stand(due_ns)
        else:
            self._clock.brake(due_ns, self._limiter.braking_share)

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
        takeover = self.modes.takeover
        if self.modes.phase is not Phase.TAKEOVER or takeover is None:
            return 0
        limit_ns = self.settings.max_age.state_ns
        leads = takeover.look(inputs.leader, inputs.leader_age_ns, limit_ns)
        return 0 if leads else int(Flag.LEADER_LOST)

    def _usable(self, due_ns: int, sample: Sample | None, flags: int) -> Sample | None:
        """The sample, unless motion may not go on."""
        if flags & _STALE or is_stale(self._buffer.age_ns(due_ns), self.modes.chunk_limit_ns):
            return None
        return sample

    def _compare(self, inputs: Inputs, flags: int) -> int:
        """Measured positions against commands: an arm that does not follow is not driven on.

        Returns Flag.FOLLOWING where it is not.
        """
        following, due_ns, phase = self._following_error, inputs.due_ns, self.modes.phase
        if phase is Phase.IDLE or flags & Flag.STATE_STALE or inputs.positions is None:
            following.look(due_ns, None, None)
            return 0
        following.look(due_ns, inputs.positions, self._limiter.command)
        if self._anchor.is_refused and phase not in DRIVEN:
            return int(Flag.FOLLOWING)
        joint = following.joint
        if joint is None or not self._anchor.is_set:
            return 0
        if phase in DRIVEN:
            name, away = self.settings.joints[joint], inputs.positions - self._limiter.command
            self.modes.enter(
                Event.FAULT,
                due_ns,
                f"joint {name} does not follow: it is {abs(away[joint]):.3g} from its command "
                f"(limit {self.settings.follow_distance[joint]:.3g})",
            )
        # Moved by hand, or without torque: it must not jump back when torque returns.
        elif self.at_rest and not following.unmoved and self._anchor.follow(inputs.positions):
            return 0
        return int(Flag.FOLLOWING)

    def _command(self, due_ns: int, sample: Sample | None) -> tuple[Vector | None, int]:
        limiter, modes = self._limiter, self.modes
        phase, move, takeover = modes.phase, modes.move, modes.takeover
        self._path = sample if phase is Phase.ARMED else None
        if phase is Phase.IDLE or not self._anchor.is_set:
            return None, 0
        self._anchor.has_commanded = True
        if phase in MOVING and move is not None:
            return limiter.step(move.step(), move.low, move.high)
        if phase is Phase.TAKEOVER and takeover is not None:
            return self._command_led(modes.eased_share(due_ns), takeover.leader)
        if phase is not Phase.ARMED or sample is None:
            return limiter.brake(), 0
        share, flags, target = modes.eased_share(due_ns), 0, sample.action
        if share < 1.0:
            target = modes.eased_from + share * (target - modes.eased_from)
            flags = int(Flag.EASING)
        elif self._clock.rate < 1.0:
            flags = int(Flag.SLOWED)
        low, high = np.minimum(sample.low, target), np.maximum(sample.high, target)
        command, limited = limiter.step(target, low, high)
        self._behind = limiter.motion.target - command
        return command, flags | limited

    def _command_led(self, share: float, leader: Vector) -> tuple[Vector, int]:
        """The next command to `leader` (action_dim,), and no further: its way is not known."""
        eased_from = self.modes.eased_from
        target = eased_from + share * (leader - eased_from)
        command, limited = self._limiter.step(target, target, target)
        return command, limited | (Flag.EASING if share < 1.0 else 0)
