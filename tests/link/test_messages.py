"""Schema v1: what is packed parses back, and nothing else parses at all."""

from __future__ import annotations

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
joints = st.dictionaries(st.text(max_size=30), finite, max_size=20)
whole = st.integers(0, 2**62)
actions = st.builds(
    Action,
    seq=whole,
    t=finite,
    t_mono_ns=whole,
    ttl_ms=finite,
    mode=st.sampled_from(Mode),
    action=joints,
    plan=whole,
    age_ms=finite,
    n=whole,
    infer_ms=finite,
    late_us=finite,
    flags=whole,
)


@given(actions)
def test_an_action_survives_the_wire(action: Action) -> None:
    assert messages.parse_action(messages.pack_action(action)) == action


@given(st.builds(State, seq=whole, t=finite, state=joints, env=st.lists(finite).map(tuple)))
def test_a_state_survives_the_wire(state: State) -> None:
    assert messages.parse_state(messages.pack_state(state)) == state


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


@given(action=actions, key=st.sampled_from(sorted(Action.__slots__)), value=json_like)
def test_any_field_may_be_anything_without_a_crash(action: Action, key: str, value: object) -> None:
    body = msgpack.unpackb(messages.pack_action(action))
    body[key] = value
    try:
        parsed = messages.parse_action(msgpack.packb(body))
    except LinkError:
        return
    assert all(isinstance(v, float) for v in parsed.action.values())
    assert isinstance(parsed.seq, int)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": 2}, "schema version 2"),
        ({"v": True}, "schema version True"),
        ({"mode": 9}, "mode: 9 is none of"),
        ({"action": {"j": float("nan")}}, "action.j: expected a finite number"),
        ({"action": [1.0]}, "expected a map"),
        ({"seq": "1"}, "seq: expected an integer"),
        ({"ttl_ms": None}, "ttl_ms: expected a finite number"),
    ],
)
def test_the_reason_names_the_field(change: dict[str, object], words: str) -> None:
    good = Action(1, 1.0, 1, 100.0, Mode.IDLE, {}, 0, -1.0, 0, 0.0, 0.0, 0)
    body = msgpack.unpackb(messages.pack_action(good)) | change
    with pytest.raises(LinkError, match=words):
        messages.parse_action(msgpack.packb(body))


def test_an_oversized_message_is_not_parsed() -> None:
    with pytest.raises(LinkError, match="allows 65536"):
        messages.parse_map(b"\x80" * (messages.MAX_BYTES + 1))


def test_the_frozen_form_of_an_action() -> None:
    """Other languages parse these bytes: a change here is a new schema version."""
    action = Action(7, 1.5, 42, 100.0, Mode.ARMED, {"waist": 0.25}, 3, 20.0, 2, 11.0, 60.0, 16)
    assert msgpack.unpackb(messages.pack_action(action)) == {
        "v": 1,
        "seq": 7,
        "t": 1.5,
        "t_mono_ns": 42,
        "ttl_ms": 100.0,
        "mode": 1,
        "action": {"waist": 0.25},
        "plan": 3,
        "age_ms": 20.0,
        "n": 2,
        "infer_ms": 11.0,
        "late_us": 60.0,
        "flags": 16,
    }


@pytest.mark.parametrize("mode", Mode)
def test_an_arm_follows_in_every_mode_but_idle(mode: Mode) -> None:
    action = Action(1, 1.0, 1, 100.0, mode, {"j": 0.0}, 0, -1.0, 0, 0.0, 0.0, 0)
    assert action.moves is (mode is not Mode.IDLE)
