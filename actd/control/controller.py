"""One control tick as a pure function: what came in, what is commanded, and why.

Joins the planner and its clock, the state machine, the staleness table, the comparison with the
measured arm and the limiter. The tick process only carries its inputs in and its output out, so
a recording of the inputs replays to the same commands bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actd.arrays import Vector
from actd.control import state
from actd.control.arming import ArmingChecks, outside_training
from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings, Cursor, Sample, ease
from actd.control.continuous import ContinuousJoints
from actd.control.following_error import FollowingError
from actd.control.limiter import JointLimiter
from actd.control.limits import Flag, Kind, Limits
from actd.control.staleness import GapBudget, MaxAge, diagnostic, is_frozen, is_stale
from actd.control.state import Event, Phase
from actd.control.time_scaling import ScaledClock
from actd.mode import Mode

# A bend of the plan may be rounded off by this share of a joint's start distance.
_TOLERANCE = 0.01
_STALE = Flag.STATE_STALE | Flag.CONTROLLER_LOST | Flag.CAMERA_STALE | Flag.CAMERA_FROZEN
_DRIVEN = (Phase.ARMED, Phase.GAP)
_NO_CHUNK = "no chunk covers this moment"
# So often a resting command goes to where the arm was moved to. An arm that is away again each
# time is not moved but does not hold where it is told to, and would be led on and on.
_YIELDS_MAX = 3
# Why the daemon itself ends motion.
_OWN_REASONS = {
    Event.FAULT: "a process of the daemon ended: see its log",
    Event.HOLD: "the daemon is ending",
    Event.STOP: "the daemon is ending",
}


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Everything the decision depends on, besides the inputs of the tick.

    Per joint, each (action_dim,): `start_distance`, how far the first command may be from the
    measured position; `follow_distance`, how far a command may be ahead of it (inf: not compared);
    `turn` of a continuous joint, else 0; the range of the training data (-inf, inf: unknown).
    """

    joints: tuple[str, ...]
    kinds: tuple[Kind, ...]
    period_ns: int
    ttl_ns: int
    chunk: ChunkSettings
    limits: Limits
    turn: Vector
    start_distance: Vector
    follow_distance: Vector
    follow_ns: int
    trained_low: Vector
    trained_high: Vector
    max_age: MaxAge
    ease_in_ns: int


class Inputs(NamedTuple):
    """What is known at one tick. Ages are None for a stream that never delivered.

    `camera_unchanged_ns` is how long each camera has shown the same image; `controller_age_ns`
    how long ago the newest action was sent that the robot has acted upon; `source` counts the
    programs that have sent its state, and `rivals` says that two do so now; `openings` counts how
    often cameras were opened; `suspended_ns` is for how long the clock of `due_ns` has stood
    still since the last tick. `state_problem` is why messages of the robot were refused, in
    words, for words.
    """

    due_ns: int
    positions: Vector | None
    state_age_ns: int | None
    camera_ages_ns: Mapping[str, int | None]
    camera_unchanged_ns: Mapping[str, int]
    controller_age_ns: int | None
    source: int = 0
    rivals: bool = False
    openings: int = 0
    suspended_ns: int = 0
    chunks: tuple[ActionChunk, ...] = ()
    commands: tuple[tuple[int, Event], ...] = ()
    state_problem: str = ""


class Answer(NamedTuple):
    """What became of an operator's command: "" when done, else every reason why not."""

    number: int
    error: str
    warnings: tuple[str, ...] = ()


class Output(NamedTuple):
    """What the tick commands: `action` (action_dim,) or None while nothing is commanded.

    `rest` (action_dim,) is where that command would come to rest within `rest_ns`.
    `chunk_age_ns` is the age of the newest plan's observation, None without one. `reason` says
    why the arm is not driven.
    """

    mode: Mode
    action: Vector | None
    rest: Vector | None
    rest_ns: int
    chunk: int
    chunk_age_ns: int | None
    n: int
    flags: int
    reason: str
    answers: tuple[Answer, ...]


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
        self._checks = ArmingChecks(settings.joints, settings.limits, settings.start_distance)
        self._budget = GapBudget(settings.max_age.fault_after_ns)
        self._gripper = np.array([kind == "gripper" for kind in kinds], np.bool_)
        self._placed = np.array([kind == "position" for kind in kinds], np.bool_)
        self._has_commanded = False
        self._anchored = False  # whether commands begin where the arm was seen
        self._usable_ns = 0  # of the newest plan
        self._since_ns = 0  # when the phase was entered
        self._awake_ns = 0  # what was observed before the last silence shows another arm
        self._stopped_idle = False  # whether STOP was ordered while nothing was commanded
        self._yields = 0  # how often this phase's resting command went to the arm
        self._last: Inputs | None = None
        self._path: Sample | None = None  # what was followed at the last tick
        self._behind: Vector = np.zeros(len(kinds))
        self._ease_ns = 0
        self._eased_from: Vector = self._limiter.command
        self._engaged = (0, 0)  # source and openings when motion was allowed
        self._reason = ""

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move the arm."""
        return self._limiter.at_rest

    def remember(self, command: Vector) -> None:
        """Go on from `command` (action_dim,), which is known to have been the last one."""
        self._limiter.reset(command)
        self._has_commanded = True

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
        flags = self._stream_flags(inputs)
        if elapsed_ns > self.settings.ttl_ns:
            flags |= self._stand_still(due_ns, elapsed_ns)
        if self.phase is Phase.IDLE:
            # Nothing is commanded, so there is nothing to go on from: neither pose nor chunk.
            self._buffer.cursor = Cursor()
            self._anchored = False
        doubted = self._following_error.unmoved and self.phase not in _DRIVEN
        replaced = last is not None and inputs.source != last.source
        away = bool(flags & Flag.CONTROLLER_LOST) or doubted or replaced
        away = away and self.phase not in (Phase.IDLE, Phase.ARMED)
        if (away and limiter.at_rest) or (replaced and self._is_elsewhere(positions)):
            # It has stopped by itself, is another program by now, or is not where it says: nothing
            # is commanded until it is back, and then from where the arm is.
            self._anchored = False
        may_anchor = not (self._anchored or away or self._stopped_idle)
        may_anchor = may_anchor and self._yields <= _YIELDS_MAX
        if may_anchor and positions is not None and not flags & Flag.STATE_STALE:
            self._anchor(positions)
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
        )

    def _wrapped_with(self, action: Vector | None, rest: Vector) -> Vector:
        if not self._continuous.any or action is None:
            return rest
        return self._continuous.near(rest, self._continuous.wrap(action))

    def _stand_still(self, due_ns: int, elapsed_ns: int) -> int:
        """No tick for longer than a command lives: the arm has stopped, wherever it is now."""
        why = f"no command was sent for {elapsed_ns / 1e6:.0f} ms"
        self._enter(Event.UNDERRUN, due_ns, why)
        if elapsed_ns > self.settings.max_age.fault_after_ns:
            self._enter(Event.FAULT, due_ns, why)
        self._limiter.reset(self._limiter.command)
        self._anchored = False
        self._buffer.clear()
        self._awake_ns = due_ns
        self._behind = np.zeros_like(self._behind)
        self._clock.rate = 0.0
        return int(Flag.SILENCE)

    def _is_elsewhere(self, positions: Vector | None) -> bool:
        """Whether the arm cannot be the one that was commanded so far."""
        if positions is None:
            return False
        away = np.abs(positions - self._limiter.command)
        return bool((away > self.settings.follow_distance).any())

    def _is_allowed(self, positions: Vector) -> bool:
        """Whether a command may rest there: within the limits, or where it rests already."""
        limits, command = self.settings.limits, self._limiter.command
        low, high = np.minimum(limits.lower, command), np.maximum(limits.upper, command)
        inside = (positions >= low) & (positions <= high)
        return bool((inside | ~self._placed).all())

    def _anchor(self, positions: Vector) -> None:
        """Begin anew at rest where the arm is; a gripper that holds something goes on holding."""
        if self._has_commanded and self._gripper.any():
            positions = np.where(self._gripper, self._limiter.command, positions)
        self._limiter.reset(positions)
        self._following_error.begin_anew()
        self._anchored = True

    def _take(self, chunk: ActionChunk, due_ns: int) -> None:
        if chunk.t_observation_ns > due_ns + self.settings.period_ns:
            return  # it would keep every later one out
        if chunk.t_observation_ns < self._awake_ns:
            return
        if not self._checks.take(chunk.actions):
            return
        actions = self._continuous.unwrap(chunk.actions, self._limiter.command)
        if self.phase not in _DRIVEN:
            self._buffer.clear()
        start_ns = self._clock.scaled_ns(chunk.t_observation_ns)
        if self._buffer.add(chunk._replace(actions=actions), start_ns):
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
        observed_ns = self._buffer.newest_observation_ns
        return None if observed_ns is None else due_ns - observed_ns

    @property
    def _chunk_limit_ns(self) -> int:
        """How old a plan may be: as configured, else as it says itself."""
        own_ns = self._usable_ns or self.settings.chunk.duration_ns
        return self.settings.max_age.chunk_ns or own_ns

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
        if self._yields > _YIELDS_MAX and self.phase not in _DRIVEN:
            return int(Flag.FOLLOWING)
        joint = following.joint
        if joint is None or not self._anchored:
            return 0
        if self.phase in _DRIVEN:
            name, away = self.settings.joints[joint], inputs.positions - self._limiter.command
            self._enter(
                Event.FAULT,
                due_ns,
                f"joint {name} does not follow: it is {abs(away[joint]):.3g} from its command "
                f"(limit {self.settings.follow_distance[joint]:.3g})",
            )
        elif self.at_rest and not following.unmoved:
            # Moved by hand, or without torque: it must not jump back when torque returns.
            self._yields += 1
            if self._yields <= _YIELDS_MAX and self._is_allowed(inputs.positions):
                self._anchor(inputs.positions)
                return 0
            self._yields = _YIELDS_MAX + 1
            self._anchored = False
        return int(Flag.FOLLOWING)

    def _operate(self, number: int, event: Event, inputs: Inputs, sample: Sample | None) -> Answer:
        rejected = state.rejection(self.phase, event)
        warnings: tuple[str, ...] = ()
        if rejected is None and event is Event.ARM:
            rejected = "; ".join(self._arm_problems(inputs, sample)) or None
            if rejected is None and inputs.positions is not None:
                settings = self.settings
                warnings = outside_training(
                    settings.joints, inputs.positions, settings.trained_low, settings.trained_high
                )
        if rejected is None and event is Event.RESET and not self.at_rest:
            rejected = "the arm is still ramping to rest: try again"
        if rejected is None:
            if event in (Event.ARM, Event.RESET):
                self._budget.clear()
            self._engage(inputs)
            own = _OWN_REASONS.get(event, "")
            self._enter(event, inputs.due_ns, f"operator: {event.value}" if number else own)
        return Answer(number, rejected or "", warnings)

    def _engage(self, inputs: Inputs) -> None:
        self._engaged = (inputs.source, inputs.openings)

    def _arm_problems(self, inputs: Inputs, sample: Sample | None) -> list[str]:
        """Why the arm may not be armed, in words; empty when it may."""
        chunk_age_ns = self._chunk_age_ns(inputs.due_ns)
        problems = self._checks.streams(inputs, self.settings.max_age)
        if is_stale(chunk_age_ns, self._chunk_limit_ns):
            rejected = self._checks.rejected
            problems.append(rejected or diagnostic("the chunk", chunk_age_ns, self._chunk_limit_ns))
        elif sample is None:
            problems.append(_NO_CHUNK)
        if self._following_error.unmoved:
            problems.append(
                "the measured positions stand still since the command moved: reset first"
            )
        if sample is not None and inputs.positions is not None:
            problems += self._checks.too_far(
                "the policy's first command", sample.action, inputs.positions, "move the arm nearer"
            )
            # After a hold the arm may have been moved by hand, or sagged.
            problems += self._checks.too_far(
                "the held command", self._limiter.command, inputs.positions, "reset first"
            )
        return problems

    def _advance(self, inputs: Inputs, sample: Sample | None, flags: int) -> None:
        due_ns = inputs.due_ns
        if self.phase in _DRIVEN:
            changed = self._changed(inputs)
            if changed:
                self._enter(Event.FAULT, due_ns, changed)
        if self.phase is Phase.ARMED and sample is None:
            self._budget.begin()
            self._enter(Event.UNDERRUN, due_ns, self._gap_reason(inputs, flags))
        if self.phase is not Phase.GAP:
            return
        lasts = due_ns - self._since_ns >= self.settings.max_age.fault_after_ns
        if lasts or self._budget.spent:
            what = "the gap lasts" if lasts else "gaps again and again"
            why = self._reason if sample else self._gap_reason(inputs, flags)
            self._enter(Event.EXPIRE, due_ns, f"{what}: {why}")
        elif sample is not None and self._agree(inputs, sample):
            self._enter(Event.RECOVER, due_ns)

    def _changed(self, inputs: Inputs) -> str:
        """Why what was engaged is not there any more: another arm, or another camera."""
        source, openings = self._engaged
        if inputs.rivals:
            return "two programs send the robot's state: stop one of them"
        if inputs.source != source:
            return "the robot's controller was started again, or another one took its place"
        if inputs.openings != openings:
            return "a camera was opened again: check that it is still the same one"
        return ""

    def _gap_reason(self, inputs: Inputs, flags: int) -> str:
        problems = self._checks.streams(inputs, self.settings.max_age)
        if self._following_error.frozen:
            problems.append("the measured positions stand still although the command moves")
        if not problems:
            age_ns, limit_ns = self._chunk_age_ns(inputs.due_ns), self._chunk_limit_ns
            stale = is_stale(age_ns, limit_ns)
            words = diagnostic("the chunk", age_ns, limit_ns) if stale else _NO_CHUNK
            problems.append(self._checks.rejected or words)
        return "; ".join(problems)

    def _agree(self, inputs: Inputs, sample: Sample) -> bool:
        """Whether plan, command and arm are at one place."""
        command = self._limiter.command
        near_path = not self._checks.too_far("", sample.action, command, "")
        if inputs.positions is None or not self._anchored:
            return False
        return near_path and not self._is_elsewhere(inputs.positions)

    def _enter(self, event: Event, due_ns: int, reason: str = "") -> None:
        phase = state.after(self.phase, event)
        if phase is self.phase:
            return
        gap_ns = due_ns - self._since_ns
        self._stopped_idle = self.phase is Phase.IDLE and phase is Phase.STOP
        self._anchored = self._anchored and not self._stopped_idle
        self._yields = 0
        self.phase, self._since_ns, self._reason = phase, due_ns, reason
        if phase is Phase.ARMED:
            # What stood still for a moment only is not worth a second.
            whole = self.settings.ease_in_ns
            self._ease_ns = min(whole, gap_ns) if event is Event.RECOVER else whole
            self._eased_from = self._limiter.command
        elif phase is Phase.IDLE:
            self._buffer.clear()  # what led to a fault must not be what the arm starts from

    def _command(self, due_ns: int, sample: Sample | None) -> tuple[Vector | None, int]:
        limiter = self._limiter
        self._path = sample if self.phase is Phase.ARMED else None
        if self.phase is Phase.IDLE or not self._anchored:
            return None, 0
        self._has_commanded = True
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

    def _eased_share(self, due_ns: int) -> float:
        """How much of the plan is followed, from 0 when armed to 1, with no step in speed."""
        elapsed_ns = due_ns - self._since_ns
        return 1.0 if elapsed_ns >= self._ease_ns else ease(elapsed_ns / self._ease_ns)
