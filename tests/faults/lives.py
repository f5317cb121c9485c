"""Lives of a daemon made by hand, and ways to spoil them: what the judge is tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from actd.control.limiter import JointLimiter
from actd.control.limits import Limits
from actd.link.age import clock_id
from actd.link.messages import Action
from actd.mode import Mode
from tests.faults.life import Bounds, Life, Operated, Received, Sample

MS = 1_000_000
BOUNDS = Bounds(
    period_ns=20 * MS,
    position=1.0,
    velocity=2.0,
    acceleration=20.0,
    ttl_ns=100 * MS,
    state_ns=200 * MS,
    fault_after_ns=1000 * MS,
    follow_ns=200 * MS,
    follow_distance=0.25,
    compared=1,
    servo_gain=25.0,
)
START_NS = 10**12
HULL = (np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
IDLE, ARMED, HOLD, FAULT, STOP = Mode.IDLE, Mode.ARMED, Mode.HOLD, Mode.FAULT, Mode.STOP
Change = Callable[[Life], Life]


def message(seq: int, mode: Mode, position: float | None, *, late_ns: int = 0) -> Received:
    """At rest. Its second joint is never compared."""
    t_ns = START_NS + seq * BOUNDS.period_ns + late_ns
    action = {} if position is None else {"a": position, "b": 0.0}
    sent = Action(
        robot="r",
        boot="b",
        clock=clock_id(),
        seq=seq,
        t=0.0,
        t_boot_ns=t_ns,
        ttl_ms=BOUNDS.ttl_ns / 1e6,
        mode=mode,
        action=action,
        rest=dict(action),
        rest_ms=0.0,
        chunk=1,
        age_ms=1.0,
        n=1,
        infer_ms=1.0,
        late_us=100.0,
        flags=0,
    )
    return Received(t_ns + MS // 10, sent)


def obeyed(log: list[Received], operated: tuple[Operated, ...] = ()) -> Life:
    """An arm that is where it was told to be, looked at every 5 ms."""
    arm: list[Sample] = []
    here, coming, seq, over_ns = 0.0, list(log), 0, 0
    end_ns = log[-1].action.t_boot_ns + BOUNDS.ttl_ns
    for t_ns in range(START_NS, end_ns, 5 * MS):
        while coming and coming[0].action.t_boot_ns <= t_ns:
            action = coming.pop(0).action
            here, seq = action.action.get("a", here), action.seq
            over_ns = action.t_boot_ns + BOUNDS.ttl_ns
        speed = abs(here - arm[-1].position[0]) / 0.02 if arm else 0.0
        arm.append(Sample(t_ns, (here, 0.0), speed, seq=seq if t_ns < over_ns else 0))
    return Life(log, arm, operated)


def limited(targets: list[float], mode: Mode = ARMED) -> list[Received]:
    """What the real limiter makes of any wish."""
    limiter = JointLimiter(
        Limits(
            lower=np.array([-1.0]),
            upper=np.array([1.0]),
            velocity=np.array([2.0]),
            acceleration=np.array([20.0]),
        ),
        BOUNDS.period_ns,
    )
    limiter.reset(np.zeros(1))
    log = [message(0, IDLE, None), message(1, mode, 0.0)]
    for place, target in enumerate(targets):
        command = float(limiter.step(np.array([target]))[0][0])
        heard, rest = message(2 + place, mode, command), limiter.rest()
        action = replace(
            heard.action,
            rest={"a": float(rest.position[0]), "b": 0.0},
            rest_ms=rest.duration_ns / 1e6,
        )
        log.append(heard._replace(action=action))
    return log


def at(seq: int) -> int:
    """When that message is sent."""
    return START_NS + seq * BOUNDS.period_ns


def order(event: str, seq: int) -> Operated:
    """One that is the reason for that message."""
    return Operated(at(seq) - 5 * MS, at(seq) + 5 * MS, event)


ARM = order("arm", 1)


def driven(targets: list[float] | None = None) -> Life:
    """Armed, and followed."""
    return obeyed(limited([0.5] * 40 if targets is None else targets), (ARM,))


def still(*stretches: tuple[int, Mode, int]) -> Life:
    """An arm at rest: (ticks, mode, ms of silence before) one after the other, armed in time."""
    log, seq, late_ns = [message(0, IDLE, None)], 1, 0
    for ticks, mode, silence_ms in stretches:
        late_ns += silence_ms * MS
        log += [message(seq + k, mode, 0.0, late_ns=late_ns) for k in range(ticks)]
        seq += ticks
    return obeyed(log, (ARM,))


def change(place: int, /, **fields: object) -> Change:
    """Another message in the place of one; the arm does not notice."""

    def changed(life: Life) -> Life:
        log = [
            r._replace(action=replace(r.action, **fields)) if r.action.seq == place else r  # type: ignore[arg-type]
            for r in life.log
        ]
        return replace(life, log=log)

    return changed


def later(from_seq: int, ms: float) -> Change:
    """Everything from one message on is sent so much later."""

    def changed(life: Life) -> Life:
        log = [
            Received(
                r.arrival_ns + round(ms * MS),
                replace(r.action, t_boot_ns=r.action.t_boot_ns + round(ms * MS)),
            )
            if r.action.seq >= from_seq
            else r
            for r in life.log
        ]
        return replace(life, log=log)

    return changed


def from_then_on(seq: int, mode: Mode) -> Change:
    """Another mode from one message on."""

    def changed(life: Life) -> Life:
        for r in life.log:
            if r.action.seq >= seq:
                life = change(r.action.seq, mode=mode)(life)
        return life

    return changed


def both(*changes: Change) -> Change:
    """One change after the other."""

    def changed(life: Life) -> Life:
        for one in changes:
            life = one(life)
        return life

    return changed


A = "a"
