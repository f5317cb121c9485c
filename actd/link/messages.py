"""Schema v1: what is said on the wire, and the only code that packs or parses it.

Every message is one msgpack map with str keys. Numbers stay plain numbers, so that
PlotJuggler's ZeroMQ plugin plots them unchanged, and `t` is unix seconds for the same
reason. Parsing trusts nothing: a message that is not schema v1 raises LinkError and the
receiver keeps what it had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from actd.errors import LinkError
from actd.mode import Mode

VERSION = 1
MAX_BYTES = 64 * 1024
MAX_JOINTS = 256

_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Action:
    """One control tick's command, from the daemon to the arm.

    `action` maps joint name -> target in the policy's physical units; it is empty while
    nothing has ever been commanded. `ttl_ms` says how long it may be used after arrival.
    `t` is unix seconds, `t_mono_ns` the sender's monotonic clock, `age_ms` how old the
    observation behind the newest plan is, `n` how many plans were blended, `late_us` how
    late the tick woke.
    """

    seq: int
    t: float
    t_mono_ns: int
    ttl_ms: float
    mode: Mode
    action: dict[str, float]
    plan: int
    age_ms: float
    n: int
    infer_ms: float
    late_us: float
    flags: int

    @property
    def moves(self) -> bool:
        """Whether the arm should follow `action`. In HOLD, FAULT and STOP it ramps to rest."""
        return self.mode is not Mode.IDLE and bool(self.action)


@dataclass(frozen=True, slots=True)
class State:
    """The robot's measured pose, from the controller to the daemon: joint name -> value.

    `env` is the environment state, in order, for the few policies trained with one.
    """

    seq: int
    t: float
    state: dict[str, float]
    env: tuple[float, ...] = ()


def pack_action(message: Action) -> bytes:
    """Bytes of one actions message."""
    return _pack(
        {
            "v": VERSION,
            "seq": message.seq,
            "t": message.t,
            "t_mono_ns": message.t_mono_ns,
            "ttl_ms": message.ttl_ms,
            "mode": int(message.mode),
            "action": message.action,
            "plan": message.plan,
            "age_ms": message.age_ms,
            "n": message.n,
            "infer_ms": message.infer_ms,
            "late_us": message.late_us,
            "flags": message.flags,
        }
    )


def parse_action(data: bytes) -> Action:
    """The Action in `data`. Raises LinkError when it is not a schema v1 actions message."""
    body = parse_map(data)
    return Action(
        seq=_integer(body, "seq"),
        t=_number(body, "t"),
        t_mono_ns=_integer(body, "t_mono_ns"),
        ttl_ms=_number(body, "ttl_ms"),
        mode=_mode(body),
        action=_joints(body, "action"),
        plan=_integer(body, "plan"),
        age_ms=_number(body, "age_ms"),
        n=_integer(body, "n"),
        infer_ms=_number(body, "infer_ms"),
        late_us=_number(body, "late_us"),
        flags=_integer(body, "flags"),
    )


def pack_state(message: State) -> bytes:
    """Bytes of one state message."""
    body: dict[str, Any] = {
        "v": VERSION,
        "seq": message.seq,
        "t": message.t,
        "state": message.state,
    }
    if message.env:
        body["env"] = list(message.env)
    return _pack(body)


def parse_state(data: bytes) -> State:
    """The State in `data`. Raises LinkError when it is not a schema v1 state message."""
    body = parse_map(data)
    env = body.get("env", [])
    if not isinstance(env, list) or not all(_is_finite(value) for value in env):
        raise LinkError("env: expected a list of finite numbers")
    return State(
        seq=_integer(body, "seq"),
        t=_number(body, "t"),
        state=_joints(body, "state"),
        env=tuple(float(value) for value in env),
    )


def pack_map(body: Mapping[str, Any]) -> bytes:
    """Bytes of a control or telemetry map; `v` is added."""
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
            f"schema version {body.get('v')!r}; this end speaks v{VERSION}: "
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
