"""Schema v1: what is said on the wire, and the only code that packs or parses it.

Every message is one msgpack map with str keys. Numbers stay plain numbers, so that
PlotJuggler's ZeroMQ plugin plots them unchanged, and `t` is unix seconds for the same
reason. Parsing trusts nothing: a message that is not schema v1 raises LinkError and the
receiver keeps what it had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from actd.errors import LinkError
from actd.mode import Mode

VERSION = 1
MAX_BYTES = 64 * 1024
MAX_JOINTS = 256
MAX_NAME = 64
"""Characters of a robot, boot, clock or source."""
MAX_REASON = 512

_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Action:
    """One control tick's command, from the daemon to the arm.

    `action` maps joint name -> target in the policy's physical units; it is empty while
    nothing is commanded. `rest` has the same joints: where the daemon itself would
    bring this command to rest within its limits, and `rest_ms` in what time (0: it is at rest).
    `ttl_ms` says how long the command may be used after `t_boot_ns`, the moment of sending on the
    sender's CLOCK_BOOTTIME, which `clock` identifies (see `actd.link.age`). `boot` identifies
    the daemon's run, in which `seq` counts from 1; `t` is unix seconds, for people and plots.
    `age_ms` is how old the observation behind the newest chunk is, `n` how many were blended,
    `late_us` how late the tick woke, `reason` why it is not ARMED ("": nothing to say).

    `expired` is not on the wire: the client sets it in the commands of a gentle stop.
    """

    robot: str
    boot: str
    clock: str
    seq: int
    t: float
    t_boot_ns: int
    ttl_ms: float
    mode: Mode
    action: dict[str, float]
    rest: dict[str, float]
    rest_ms: float
    chunk: int
    age_ms: float
    n: int
    infer_ms: float
    late_us: float
    flags: int
    reason: str = ""
    expired: bool = False

    @property
    def moves(self) -> bool:
        """Whether the arm should follow `action`: to the policy, to a pose, or to rest."""
        return self.mode is not Mode.IDLE and bool(self.action)


@dataclass(frozen=True, slots=True)
class State:
    """The robot's measured pose, from the controller to the daemon: joint name -> value.

    `robot` is its name ("": not said), `source` identifies the sender's run, in which `seq`
    counts from 1. `t_boot_ns` is when the pose was measured, on the sender's CLOCK_BOOTTIME,
    which `clock` identifies ("": unknown); `t` is unix seconds, for people and plots.
    `env` is the environment state, in order, for the few policies trained with one.
    `ack_boot` and `ack_seq` are those of the newest action that the sender acted upon; "" and 0:
    none yet, or it does not act. `leader` is where an operator's leader arm is, in the robot's
    joints, {} without one, and `leader_boot_ns` when that was measured, on the clock of
    `t_boot_ns`.
    """

    robot: str
    source: str
    clock: str
    seq: int
    t: float
    t_boot_ns: int
    state: dict[str, float]
    env: tuple[float, ...] = ()
    ack_boot: str = ""
    ack_seq: int = 0
    leader: dict[str, float] = field(default_factory=dict)
    leader_boot_ns: int = 0


def pack_action(message: Action) -> bytes:
    """Bytes of one actions message; a `reason` that is too long is cut.

    Raises LinkError when a number is not finite: such a command must not leave the daemon.
    """
    action, rest = message.action, message.rest
    # A sum is not finite when one of its terms is not: two calls instead of one per joint.
    total = sum(action.values()) + sum(rest.values()) + message.t + message.ttl_ms
    total += message.rest_ms + message.age_ms + message.infer_ms + message.late_us
    if not math.isfinite(total):
        raise LinkError(f"action {message.seq}: not finite: {action!r:.200}; it is not sent")
    return _pack(
        {
            "v": VERSION,
            "robot": message.robot,
            "boot": message.boot,
            "clock": message.clock,
            "seq": message.seq,
            "t": message.t,
            "t_boot_ns": message.t_boot_ns,
            "ttl_ms": message.ttl_ms,
            "mode": int(message.mode),
            "action": action,
            "rest": rest,
            "rest_ms": message.rest_ms,
            "chunk": message.chunk,
            "age_ms": message.age_ms,
            "n": message.n,
            "infer_ms": message.infer_ms,
            "late_us": message.late_us,
            "flags": message.flags,
            "reason": message.reason[:MAX_REASON],
        }
    )


def parse_action(data: bytes) -> Action:
    """The Action in `data`. Raises LinkError when it is not a schema v1 actions message."""
    body = parse_map(data)
    action, rest = _joints(body, "action"), _joints(body, "rest")
    if action.keys() != rest.keys():
        raise LinkError("rest: expected the joints of action")
    return Action(
        robot=_text(body, "robot"),
        boot=_identity(body, "boot"),
        clock=_text(body, "clock"),
        seq=_integer(body, "seq"),
        t=_number(body, "t"),
        t_boot_ns=_integer(body, "t_boot_ns"),
        ttl_ms=_duration(body, "ttl_ms"),
        mode=_mode(body),
        action=action,
        rest=rest,
        rest_ms=_duration(body, "rest_ms"),
        chunk=_integer(body, "chunk"),
        age_ms=_number(body, "age_ms"),
        n=_integer(body, "n"),
        infer_ms=_number(body, "infer_ms"),
        late_us=_number(body, "late_us"),
        flags=_integer(body, "flags"),
        reason=_text(body, "reason", MAX_REASON),
    )


def pack_state(message: State) -> bytes:
    """Bytes of one state message."""
    body: dict[str, Any] = {
        "v": VERSION,
        "robot": message.robot,
        "source": message.source,
        "clock": message.clock,
        "seq": message.seq,
        "t": message.t,
        "t_boot_ns": message.t_boot_ns,
        "state": message.state,
        "ack_boot": message.ack_boot,
        "ack_seq": message.ack_seq,
    }
    if message.env:
        body["env"] = list(message.env)
    if message.leader:
        body |= {"leader": message.leader, "leader_boot_ns": message.leader_boot_ns}
    return _pack(body)


def parse_state(data: bytes) -> State:
    """The State in `data`. Raises LinkError when it is not a schema v1 state message."""
    body = parse_map(data)
    env = body.get("env", [])
    if not isinstance(env, list) or not all(_is_finite(value) for value in env):
        raise LinkError("env: expected a list of finite numbers")
    led = "leader" in body
    return State(
        robot=_text(body, "robot"),
        source=_identity(body, "source"),
        clock=_text(body, "clock"),
        seq=_integer(body, "seq"),
        t=_number(body, "t"),
        t_boot_ns=_integer(body, "t_boot_ns"),
        state=_joints(body, "state"),
        env=tuple(float(value) for value in env),
        ack_boot=_text(body, "ack_boot"),
        ack_seq=_integer(body, "ack_seq"),
        leader=_joints(body, "leader") if led else {},
        leader_boot_ns=_integer(body, "leader_boot_ns") if led else 0,
    )


def pack_map(body: Mapping[str, Any]) -> bytes:
    """Bytes of a request or its answer; `v` is added."""
    return _pack({"v": VERSION, **body})


def parse_map(data: bytes) -> dict[str, Any]:
    """A schema v1 map with str keys. Raises LinkError for anything else, by reason."""
    if len(data) > MAX_BYTES:
        raise LinkError(f"message of {len(data)} bytes; schema v{VERSION} allows {MAX_BYTES}")
    try:
        body = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise LinkError(f"not msgpack: {error}") from None
    if not isinstance(body, dict) or not {*map(type, body)} <= {str}:
        raise LinkError("expected a msgpack map with string keys")
    if body.get("v") != VERSION or isinstance(body["v"], bool):
        raise LinkError(
            f"schema version {body.get('v')!r}; this end speaks v{VERSION}; "
            "install the same major version of actd on both ends"
        )
    return body


def _pack(body: Mapping[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(body)
    return packed


def _is_finite(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -_LARGEST < value < _LARGEST  # also false for nan, and for ints too large for a float
    )


def _number(body: Mapping[str, Any], key: str) -> float:
    value = body.get(key)
    if not _is_finite(value):
        raise LinkError(f"{key}: expected a finite number, found {value!r:.40}")
    return float(value)  # type: ignore[arg-type]  # _is_finite narrowed it


def _duration(body: Mapping[str, Any], key: str) -> float:
    value = _number(body, key)
    if value < 0:
        raise LinkError(f"{key}: expected a number from 0, found {value!r:.40}")
    return value


def _text(body: Mapping[str, Any], key: str, most: int = MAX_NAME) -> str:
    value = body.get(key)
    if not isinstance(value, str) or len(value) > most:
        raise LinkError(f"{key}: expected text of at most {most} characters, found {value!r:.40}")
    return value


def _identity(body: Mapping[str, Any], key: str) -> str:
    value = _text(body, key)
    if not value:
        raise LinkError(f"{key}: expected text, found none")
    return value


def _integer(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise LinkError(f"{key}: expected an integer, found {value!r:.40}")
    return value


def _mode(body: Mapping[str, Any]) -> Mode:
    try:
        return Mode(_integer(body, "mode"))
    except ValueError:
        raise LinkError(f"mode: {body['mode']!r} is none of {[m.value for m in Mode]}") from None


def _joints(body: Mapping[str, Any], key: str) -> dict[str, float]:
    joints = body.get(key)
    if not isinstance(joints, dict) or len(joints) > MAX_JOINTS:
        raise LinkError(f"{key}: expected a map of at most {MAX_JOINTS} joints")
    if not _all_finite(joints):
        bad = (
            pair for pair in joints.items() if type(pair[0]) is not str or not _is_finite(pair[1])
        )
        name, value = next(bad)
        raise LinkError(f"{key}.{name!s:.40}: expected a finite number, found {value!r:.40}")
    return dict(zip(joints, map(float, joints.values()), strict=True))


def _all_finite(joints: dict[Any, Any]) -> bool:
    """Whether every name is a str and every value `_is_finite`, in a few calls for all of them."""
    values = joints.values()
    return (
        {*map(type, joints)} <= {str}
        and {*map(type, values)} <= {int, float}
        and all(map(math.isfinite, values))
        and (not values or (min(values) > -_LARGEST and max(values) < _LARGEST))
    )
