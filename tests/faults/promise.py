"""What every fault must leave true, judged by time and by where the arm was.

Pure: takes a life of the daemon (its messages, the measured arm, the operator's orders) and
gives the promises that were broken, in words. When something was sent is what the daemon's own
stamps say, so delays of the test itself never decide.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from actd.arrays import Vector
from actd.client.expiry import Expiry
from actd.errors import LinkError
from actd.link.age import clock_id
from actd.mode import Mode
from tests.faults.life import Bounds, Life, Operated, Sample, Step, steps, vector

_EPSILON = 1e-6
_BEGIN_WITHIN = 0.03  # one step from rest, and what the arm moved while its state was on its way
_RETURN_NS = 400_000_000  # until servos have settled after their own world let go of the arm
RESTING = frozenset({Mode.HOLD, Mode.FAULT, Mode.STOP})
DRIVEN = frozenset({Mode.ARMED, Mode.MOVING, Mode.TAKEOVER})
_HULL_WITHIN = 1e-3
_FADED_NS = 400_000_000  # longer than what a command takes from where it began to the leader
_SETTLED = 0.03  # the last of a motion that was commanded before
_STILL = 0.05  # rad/s


def always(life: Life, bounds: Bounds, hull: tuple[Vector, Vector]) -> list[str]:
    """What is promised for every moment and broken in some; empty when all was kept.

    `hull` (2 of (joints,)): the smallest and the largest that the policy gives.
    """
    return [
        *disorder(life, bounds),
        *wild_steps(life, bounds),
        *begun_elsewhere(life, bounds),
        *no_rest(life, bounds),
        *false_rest(life, bounds),
        *left_hull(life, bounds, hull),
        *led_astray(life, bounds),
        *re_engaged(life, bounds),
        *moved(life),
        *outlived(life, bounds),
        *run_away(life, bounds),
        *jumped(life, bounds),
        *restless(life, bounds),
    ]


# --- messages and time


def disorder(life: Life, bounds: Bounds) -> Iterator[str]:
    """Messages that repeat, go back, or follow each other within half a period.

    A tick that woke in time and was held up before it could send is the computer's doing.
    """
    for (_, before), (_, after) in itertools.pairwise(life.log):
        apart_ns = after.t_boot_ns - before.t_boot_ns
        if after.seq <= before.seq:
            yield f"seq {after.seq} follows {before.seq}"
        elif apart_ns <= 0:
            yield f"at seq {after.seq}: sent before the message it follows"
        elif apart_ns < bounds.period_ns / 2 and before.late_us * 4e3 > bounds.period_ns:
            yield f"at seq {after.seq}: sent {apart_ns / 1e6:.1f} ms after the one before"


class _Motion(NamedTuple):
    """A command and its way (joints,) from the one before.

    `begins`: it is none that follows from the one before, but a new beginning: nothing was
    commanded, or for longer than a command lives, or an arm at rest was found elsewhere. `change`
    and `allowed` are of the speed per tick, NaN where it is not known.
    """

    step: Step
    command: Vector
    way: Vector
    change: float = np.nan
    allowed: float = np.nan
    begins: bool = False

    def fastest(self, periods: int, bounds: Bounds) -> float:
        """The largest speed of a joint, over so many periods."""
        return float(np.abs(self.way).max()) / (periods * bounds.period_ns / 1e9)


def _motions(life: Life, bounds: Bounds) -> Iterator[_Motion]:
    dt_s = bounds.period_ns / 1e9
    last: Vector | None = None  # the way of the tick before, None where it is not known
    slack = 1  # ticks in which the speed may have changed
    for step in steps(life.log):
        if step.command is None:
            last = None
            continue
        nothing = np.zeros_like(step.command)
        way = nothing if step.before is None else step.command - step.before
        change = allowed = np.nan
        begins = step.before is None or step.elapsed_ns > bounds.ttl_ns + bounds.period_ns
        if last is not None and not begins and step.ticks == 1:
            change = float(np.abs(way - last).max()) / dt_s
            allowed = bounds.acceleration * dt_s * slack
            # Found elsewhere; or silent for so nearly as long as a command lives that it may be.
            moved_anew = np.abs(way).max() > bounds.step + _EPSILON or change > allowed + _EPSILON
            may_be_over = step.elapsed_ns > bounds.ttl_ns - bounds.period_ns
            resting = step.action.mode in RESTING and not np.abs(last).max() > _EPSILON * dt_s
            begins = bool(moved_anew and (resting or may_be_over))
        if begins:
            last, slack = nothing, 2  # at rest a moment ago: it may be the second step already
            yield _Motion(step, step.command, nothing, begins=True)
        else:
            yield _Motion(step, step.command, way, change, allowed)
            # What lies on both sides of a lost message is not compared.
            last, slack = way if step.ticks == 1 else None, 1


def wild_steps(life: Life, bounds: Bounds) -> Iterator[str]:
    """Commands beyond the limits: of position, of speed over the time that has passed, and of the
    change of speed from one command to the next.

    A slot that was skipped is time in which the arm stood still, so it makes no step larger. An
    arm that was found outside its limits may stay there.
    """
    # Why a life that begins outside the limits does so is not known.
    found = max((abs(value) for r in life.log[:1] for value in r.action.action.values()), default=0)
    for motion in _motions(life, bounds):
        where = f"at seq {motion.step.action.seq}"
        farthest = float(np.abs(motion.command).max())
        if motion.begins:
            found = farthest
        if not farthest <= max(bounds.position, found) + _EPSILON:
            yield f"{where}: position {farthest:.4g} of {bounds.position:g}"
        periods = motion.step.elapsed_ns / bounds.period_ns
        slots = max(1, round(periods))
        if periods >= motion.step.ticks - 1:
            # A message was lost behind one that was held up before it could be sent.
            slots = max(slots, motion.step.ticks)
        speed = motion.fastest(slots, bounds)
        if not speed <= bounds.velocity + _EPSILON:
            yield f"{where}: speed {speed:.4g} of {bounds.velocity:g}"
        if motion.change > motion.allowed + _EPSILON:
            yield f"{where}: speed changed by {motion.change:.4g} of {motion.allowed:.4g}"


def begun_elsewhere(life: Life, bounds: Bounds) -> Iterator[str]:
    """Commands that begin anywhere but where the arm is, when they begin."""
    for motion in _motions(life, bounds):
        back_ns = bounds.state_ns + bounds.period_ns
        place = motion.command[: bounds.compared]
        if motion.begins and not life.near(place, motion.step.t_ns, back_ns, _BEGIN_WITHIN):
            yield f"at seq {motion.step.action.seq}: begins where the arm is not"


def no_rest(life: Life, bounds: Bounds) -> Iterator[str]:
    """Commands that speed up, or go on moving, though the arm is not driven."""
    left_ns: int | None = None
    before = np.inf
    for motion in _motions(life, bounds):
        step = motion.step
        mode, where = step.action.mode, f"at seq {step.action.seq}"
        speed = motion.fastest(step.ticks, bounds)
        if mode not in RESTING:
            left_ns, before = None, speed
            continue
        # A slot that was skipped is none in which it could have braked.
        left_ns = bounds.ramp_ns if left_ns is None else left_ns - step.ticks * bounds.period_ns
        whole = step.ticks == 1
        if whole and speed > before + _EPSILON:
            yield f"{where}: sped up in {mode.name}"
        if left_ns < 0 and speed > _EPSILON:
            yield f"{where}: moves {(bounds.ramp_ns - left_ns) / 1e6:.0f} ms after {mode.name}"
        # Where messages were lost their mean says nothing about the speed before or after.
        before = speed if whole else np.inf


def false_rest(life: Life, bounds: Bounds) -> Iterator[str]:
    """Messages whose `rest` is none that the arm may be brought to: faster, harder or farther."""
    for _, action in life.log:
        if not action.action:
            continue
        way = np.abs(np.array(list(action.rest.values())) - vector(action)).max()
        rest_s = action.rest_ms / 1e3
        if rest_s == 0:
            broken = way > _EPSILON
        else:
            fast, hard = 2 * way / rest_s, 2 * way / rest_s**2
            broken = (
                fast > bounds.velocity * (1 + 1e-3)
                or hard > bounds.acceleration * (1 + 1e-3)
                or max(map(abs, action.rest.values())) > bounds.position + _EPSILON
            )
        if broken:
            yield f"at seq {action.seq}: rests {way:.4g} away in {action.rest_ms:.0f} ms"


def left_hull(life: Life, bounds: Bounds, hull: tuple[Vector, Vector]) -> Iterator[str]:
    """Commands outside of all that the policy has ever planned and of where they began."""
    low, high = hull
    for number, motion in enumerate(_motions(life, bounds)):
        if motion.begins or not number:
            low = np.minimum(hull[0], motion.command) - _HULL_WITHIN
            high = np.maximum(hull[1], motion.command) + _HULL_WITHIN
        beyond = np.maximum(low - motion.command, motion.command - high).max()
        if beyond > _HULL_WITHIN:
            yield f"at seq {motion.step.action.seq}: {beyond:.4g} beyond all that was planned"


def led_astray(life: Life, bounds: Bounds) -> Iterator[str]:
    """Commands of a takeover beyond where the leader truly was meanwhile and where they began.

    Of one that a life begins with that place is not known, nor needed when it has faded out.
    """
    if not life.log:
        return
    first = life.log[0].action
    known_ns = first.t_boot_ns + _FADED_NS * (first.mode is Mode.TAKEOVER)
    low, high, since_ns = np.array([]), np.array([]), 0
    before = Mode.IDLE
    places = iter(life.led)
    coming = next(places, None)
    for action in (received.action for received in life.log):
        command = vector(action)
        if action.t_boot_ns < known_ns:
            continue
        begins = before is not Mode.TAKEOVER
        before = action.mode
        if action.mode is not Mode.TAKEOVER or command is None:
            continue
        if begins:
            rest = np.array([*action.rest.values()])
            low, high = np.minimum(command, rest), np.maximum(command, rest)
            # What led to this command may have been told as late as a state may be old.
            since_ns = action.t_boot_ns - 2 * bounds.state_ns
        while coming is not None and coming.t_ns <= action.t_boot_ns:
            if coming.t_ns >= since_ns:
                place = np.array(coming.place)
                low, high = np.minimum(low, place), np.maximum(high, place)
            coming = next(places, None)
        beyond = np.maximum(low - command, command - high).max()
        if beyond > _HULL_WITHIN:
            yield f"at seq {action.seq}: {beyond:.4g} beyond where the leader was"


# --- the way back


def re_engaged(life: Life, bounds: Bounds) -> Iterator[str]:
    """Motion that came back though no operator asked for it, or not in time.

    An `arm` counts between the moments when it was given and when it was answered. Without one,
    only a short gap may end by itself: the same controller, and the arm where it was left.
    """
    if not life.log:
        return
    first = life.log[0].action
    mode = first.mode
    # Why a life that begins in HOLD does so is not known.
    held_ns = first.t_boot_ns if mode is Mode.HOLD else None
    for step in steps(life.log):
        before, mode = mode, step.action.mode
        quiet = step.elapsed_ns > bounds.ttl_ns + bounds.period_ns
        if before is Mode.ARMED and mode is Mode.HOLD:
            held_ns = None if _explained(life.operated, "hold", step) else step.t_ns
        if mode is not Mode.ARMED or (before is Mode.ARMED and not quiet):
            continue
        if _explained(life.operated, "arm", step):
            continue
        where = f"at seq {step.action.seq}: {before.name} became ARMED"
        if before is Mode.ARMED:
            since_ns: int | None = step.t_ns - step.elapsed_ns
        else:
            since_ns = held_ns if before is Mode.HOLD else None
        if since_ns is None:
            yield f"{where} without an operator"
        elif step.t_ns - since_ns > bounds.fault_after_ns + 2 * bounds.period_ns:
            yield f"{where} after {(step.t_ns - since_ns) / 1e6:.0f} ms"
        else:
            yield from (f"{where} {why}" for why in _disagreements(life, since_ns, step, bounds))


_ORDERS = {Mode.MOVING: "park", Mode.TAKEOVER: "takeover"}


def moved(life: Life) -> Iterator[str]:
    """Moves to a pose, and takeovers, that no operator asked for, or not in time."""
    for (_, before), (_, after) in itertools.pairwise(life.log):
        order = _ORDERS.get(after.mode)
        if order is None or before.mode is after.mode:
            continue
        if not any(each.explains(order, after.t_boot_ns) for each in life.operated):
            name = after.mode.name
            yield f"at seq {after.seq}: {before.mode.name} became {name} without an operator"


def _explained(operated: Sequence[Operated], event: str, step: Step) -> bool:
    return any(order.explains(event, step.t_ns) for order in operated)


def _disagreements(life: Life, since_ns: int, step: Step, bounds: Bounds) -> Iterator[str]:
    then, now = life.at(since_ns), life.at(step.t_ns)
    if then is None or now is None or step.command is None:
        return
    if then.source != now.source:
        yield "with another controller"
    if not now.known:
        yield "with nobody knowing where the arm is"
    place = step.command[: bounds.compared]
    if not life.near(place, step.t_ns, bounds.state_ns, bounds.follow_distance):
        yield "away from the arm"


def outlived(life: Life, bounds: Bounds) -> Iterator[str]:
    """Commands that are obeyed when their time to live is over, by exact ages.

    The shipped client is asked what it would do, and the arm what it did.
    """
    sent = {action.seq: action for _, action in life.log}
    for arrival_ns, action in life.log:
        if round(action.ttl_ms * 1e6) != bounds.ttl_ns:
            yield f"at seq {action.seq}: ttl of {action.ttl_ms:g} ms"
        client = Expiry(clock_id())
        try:
            client.accept(action, arrival_ns)
        except LinkError:
            continue  # too late, or of another clock: nobody obeys it
        over_ns = action.t_boot_ns + bounds.ttl_ns
        client.current(over_ns - 1)
        left = client.current(over_ns)
        if left is not None and not left.expired:
            yield f"at seq {action.seq}: usable beyond its ttl"
        if client.current(over_ns + round(action.rest_ms * 1e6) + 1) is not None:
            yield f"at seq {action.seq}: usable when it must be at rest"
    for sample in life.arm:
        obeyed = sent.get(sample.seq) if sample.seq else None
        if obeyed is None:
            continue
        left_ns = obeyed.t_boot_ns + bounds.ttl_ns - sample.t_ns
        if left_ns + sample.expired * round(obeyed.rest_ms * 1e6) < 0:
            yield f"seq {sample.seq} was obeyed {-left_ns / 1e6:.0f} ms after its time to live"


# --- the arm


def run_away(life: Life, bounds: Bounds) -> Iterator[str]:
    """Commands that stay too far from where the arm is known to be."""
    since_ns: int | None = None
    for action in (received.action for received in life.log):
        sample, command = life.at(action.t_boot_ns), vector(action)
        if sample is None or command is None or not sample.known:
            since_ns = None
            continue
        away = distance(sample, command, bounds)
        if away <= bounds.follow_distance:
            since_ns = None
            continue
        since_ns = action.t_boot_ns if since_ns is None else since_ns
        lasts_ns = action.t_boot_ns - since_ns
        if lasts_ns > bounds.runaway_ns:
            yield f"at seq {action.seq}: {away:.3g} from the arm for {lasts_ns / 1e6:.0f} ms"


def distance(sample: Sample, command: Vector, bounds: Bounds) -> float:
    """How far the arm is from a command, of the joints that are compared."""
    measured = np.array(sample.position[: bounds.compared])
    return float(np.abs(measured - command[: bounds.compared]).max())


def jumped(life: Life, bounds: Bounds) -> Iterator[str]:
    """Motion of the arm that is faster than any that follows commands within the limits.

    When its own world lets go of it, it may go as far as a command may be away from it.
    """
    origin: Sample | None = None
    driven_s = 0.0
    for before, after in itertools.pairwise(life.arm):
        if after.returns != before.returns or not after.driven:
            origin, driven_s = after, 0.0
        if not after.driven:
            continue
        if origin is None or after.t_ns - origin.t_ns > _RETURN_NS:
            if after.speed > bounds.arm_speed:
                yield f"the arm moved with {after.speed:.3g} rad/s (allowed {bounds.arm_speed:.3g})"
            continue
        if life.mode_at(after.t_ns) in DRIVEN:
            driven_s += (after.t_ns - before.t_ns) / 1e9
        allowed = bounds.follow_distance + _SETTLED + 1.3 * bounds.velocity * driven_s
        way = distance(after, np.array(origin.position), bounds)
        if way > allowed:
            yield f"the arm jumped by {way:.3g} (allowed {allowed:.3g})"


def restless(life: Life, bounds: Bounds) -> Iterator[str]:
    """An arm that moves though every command has expired, and its gentle stop is over."""
    over_ns = 0
    log = iter([*life.log, None])
    coming = next(log)
    for sample in life.arm:
        while coming is not None and coming.action.t_boot_ns <= sample.t_ns:
            action = coming.action
            over_ns = action.t_boot_ns + bounds.ttl_ns + round(action.rest_ms * 1e6) + _RETURN_NS
            coming = next(log)
        if over_ns and sample.t_ns > over_ns and sample.driven and sample.speed > _STILL:
            yield f"the arm moves with {sample.speed:.3g} rad/s and nobody commands anything"
