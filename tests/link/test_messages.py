"""Schema v1: what is packed parses back, and nothing else parses at all."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.errors import LinkError
from actd.link import messages
from actd.link.messages import Action, State
from actd.mode import Mode

finite = st.floats(
    allow_nan=False, allow_infinity=False, width=64, max_value=1e299, min_value=-1e299
)
durations = st.floats(0, 1e299)
joints = st.dictionaries(st.text(max_size=30), finite, max_size=20)
whole = st.integers(0, 2**62)
names = st.text(max_size=messages.MAX_NAME)
identities = st.text(min_size=1, max_size=messages.MAX_NAME)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    action = draw(joints)
    return Action(
        robot=draw(names),
        boot=draw(identities),
        clock=draw(names),
        seq=draw(whole),
        t=draw(finite),
        t_boot_ns=draw(whole),
        ttl_ms=draw(durations),
        mode=draw(st.sampled_from(Mode)),
        action=action,
        rest={name: draw(finite) for name in action},
        rest_ms=draw(durations),
        chunk=draw(whole),
        age_ms=draw(finite),
        n=draw(whole),
        infer_ms=draw(finite),
        late_us=draw(finite),
        flags=draw(whole),
        reason=draw(st.text(max_size=messages.MAX_REASON)),
    )


states = st.builds(
    State,
    robot=names,
    source=identities,
    clock=names,
    seq=whole,
    t=finite,
    t_boot_ns=whole,
    state=joints,
    env=st.lists(finite).map(tuple),
    ack_boot=names,
    ack_seq=whole,
)

ACTION = Action(
    robot="aloha",
    boot="b0",
    clock="c0",
    seq=7,
    t=1.5,
    t_boot_ns=42,
    ttl_ms=100.0,
    mode=Mode.ARMED,
    action={"waist": 0.25},
    rest={"waist": 0.5},
    rest_ms=150.0,
    chunk=3,
    age_ms=20.0,
    n=2,
    infer_ms=11.0,
    late_us=60.0,
    flags=16,
    reason="",
)
STATE = State("aloha", "s0", "c0", 3, 1.5, 42, {"waist": 0.25}, (), "b0", 7)


@given(actions())
def test_an_action_survives_the_wire(action: Action) -> None:
    assert messages.parse_action(messages.pack_action(action)) == action


def test_modes_have_the_numbers_that_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
    assert f"mode         {', '.join(f'{mode.value} {mode.name}' for mode in Mode)}\n" in page


def test_an_arm_follows_every_command_but_in_idle() -> None:
    for mode in Mode:
        assert replace(ACTION, mode=mode).moves is (mode is not Mode.IDLE)
        assert not replace(ACTION, mode=mode, action={}).moves


@given(states)
def test_a_state_survives_the_wire(state: State) -> None:
    assert messages.parse_state(messages.pack_state(state)) == state


def test_a_state_may_tell_of_a_leader() -> None:
    led = replace(STATE, leader={"waist": -0.5}, leader_boot_ns=41)
    assert messages.parse_state(messages.pack_state(led)) == led
    body = msgpack.unpackb(messages.pack_state(led))
    bad: tuple[tuple[str, object], ...] = (
        ("leader", {"waist": math.nan}),
        ("leader", 3),
        ("leader_boot_ns", None),
    )
    for key, value in bad:
        with pytest.raises(LinkError, match=f"^{key}"):
            messages.parse_state(msgpack.packb(body | {key: value}))


@given(st.binary(max_size=300))
def test_noise_is_refused_in_words(data: bytes) -> None:
    for parse in (messages.parse_action, messages.parse_state):
        with pytest.raises(LinkError):
            parse(data)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(action=actions(), key=st.sampled_from(sorted(Action.__slots__)), value=json_like)
def test_any_field_may_be_anything_without_a_crash(action: Action, key: str, value: object) -> None:
    body = msgpack.unpackb(messages.pack_action(action))
    body[key] = value
    try:
        parsed = messages.parse_action(msgpack.packb(body))
    except LinkError:
        return
    assert all(isinstance(v, float) for v in parsed.action.values())
    assert isinstance(parsed.seq, int)
    assert parsed.expired is False


@given(state=states, key=st.sampled_from(sorted(State.__slots__)), value=json_like)
def test_a_state_likewise(state: State, key: str, value: object) -> None:
    body = msgpack.unpackb(messages.pack_state(state))
    body[key] = value
    try:
        parsed = messages.parse_state(msgpack.packb(body))
    except LinkError:
        return
    assert all(isinstance(v, float) for v in parsed.state.values())
    assert parsed.source


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": 2}, "schema version 2"),
        ({"v": True}, "schema version True"),
        ({"mode": 9}, "mode: 9 is none of"),
        ({"action": {"waist": float("nan")}}, "action.waist: expected a finite number"),
        ({"rest": {"waist": float("inf")}}, "rest.waist: expected a finite number"),
        ({"rest": {}}, "rest: expected the joints of action"),
        ({"action": [1.0]}, "expected a map"),
        ({"seq": "1"}, "seq: expected an integer"),
        ({"ttl_ms": None}, "ttl_ms: expected a finite number"),
        ({"ttl_ms": -1}, "ttl_ms: expected a number from 0"),
        ({"rest_ms": -0.5}, "rest_ms: expected a number from 0"),
        ({"robot": "x" * 65}, "robot: expected text of at most 64 characters"),
        ({"boot": ""}, "boot: expected text, found none"),
        ({"clock": 5}, "clock: expected text"),
        ({"reason": "x" * 513}, "reason: expected text of at most 512 characters"),
    ],
)
def test_the_reason_names_the_field(change: dict[str, object], words: str) -> None:
    body = msgpack.unpackb(messages.pack_action(ACTION)) | change
    with pytest.raises(LinkError, match=words):
        messages.parse_action(msgpack.packb(body))


def test_a_state_names_its_sender() -> None:
    body = msgpack.unpackb(messages.pack_state(STATE))
    del body["source"]
    with pytest.raises(LinkError, match="source: expected text"):
        messages.parse_state(msgpack.packb(body))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "key", ["action", "rest", "t", "ttl_ms", "rest_ms", "age_ms", "infer_ms", "late_us"]
)
def test_what_is_not_finite_is_never_sent(key: str, bad: float) -> None:
    value = {"waist": bad, "elbow": -bad} if key in ("action", "rest") else bad
    with pytest.raises(LinkError, match="not finite"):
        messages.pack_action(replace(ACTION, **{key: value}))  # type: ignore[arg-type]


def test_a_long_reason_is_cut_and_the_action_still_counts() -> None:
    action = replace(ACTION, reason="far " * 1000)
    assert messages.parse_action(messages.pack_action(action)).reason == action.reason[:512]


def test_an_oversized_message_is_not_parsed() -> None:
    with pytest.raises(LinkError, match="allows 65536"):
        messages.parse_map(b"\x80" * (messages.MAX_BYTES + 1))


def test_the_frozen_form_of_an_action() -> None:
    """Other languages parse these bytes: a change here is a new schema version."""
    assert msgpack.unpackb(messages.pack_action(replace(ACTION, expired=True))) == {
        "v": 1,
        "robot": "aloha",
        "boot": "b0",
        "clock": "c0",
        "seq": 7,
        "t": 1.5,
        "t_boot_ns": 42,
        "ttl_ms": 100.0,
        "mode": 1,
        "action": {"waist": 0.25},
        "rest": {"waist": 0.5},
        "rest_ms": 150.0,
        "chunk": 3,
        "age_ms": 20.0,
        "n": 2,
        "infer_ms": 11.0,
        "late_us": 60.0,
        "flags": 16,
        "reason": "",
    }


def test_the_frozen_form_of_a_state() -> None:
    """As above; `env` is there only for the policies that were trained with one."""
    form = {
        "v": 1,
        "robot": "aloha",
        "source": "s0",
        "clock": "c0",
        "seq": 3,
        "t": 1.5,
        "t_boot_ns": 42,
        "state": {"waist": 0.25},
        "ack_boot": "b0",
        "ack_seq": 7,
    }
    assert msgpack.unpackb(messages.pack_state(STATE)) == form
    with_env = messages.pack_state(replace(STATE, env=(1.0,)))
    assert msgpack.unpackb(with_env) == form | {"env": [1.0]}


@pytest.mark.parametrize("mode", Mode)
def test_an_arm_follows_in_every_mode_but_idle(mode: Mode) -> None:
    assert replace(ACTION, mode=mode).moves is (mode is not Mode.IDLE)
    assert not replace(ACTION, mode=mode, action={}, rest={}).moves
