"""PlotJuggler's ZeroMQ subscriber reads the actions, and its shipped layout names what they hold.

PlotJuggler 3.17 itself shows it (docs/viewers.md). What it does with a message is done here too: a
message of one part has no topic and so no prefix, a map is flattened with slashes, and what is no
number is left out. Its decoder is another one than ours, and so is the one here: msgpack's in pure
Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import zmq
from msgpack import fallback
from ruamel.yaml import YAML

from actd.link import messages, sockets
from actd.link.messages import Action
from actd.mode import Mode
from actd.resources import resource_dir
from tests.ports import HOST

LAYOUT = Path(__file__).parents[2] / "docs" / "plotjuggler.xml"


def flattened(prefix: str, value: Any) -> Iterator[tuple[str, float]]:
    """NlohmannParser::parseMessageImpl."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flattened(f"{prefix}/{key}", part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from flattened(f"{prefix}[{index}]", part)
    elif isinstance(value, (bool, int, float)):
        yield prefix, float(value)


def action() -> Action:
    """Of the demo, while it is armed."""
    demo = YAML(typ="safe").load(resource_dir("configs") / "demo.yaml")
    joints = {name: 0.25 * index for index, name in enumerate(demo["robot"]["joints"])}
    return Action(
        robot="demo",
        boot="boot-1",
        clock="clock-1",
        seq=9,
        t=1_768_210_200.25,
        t_boot_ns=7_000_000_000_000,
        ttl_ms=100.0,
        mode=Mode.ARMED,
        action=joints,
        rest=joints,
        rest_ms=80.0,
        chunk=4,
        age_ms=41.5,
        n=3,
        infer_ms=18.25,
        late_us=57.0,
        flags=2,
    )


def heard(context: zmq.Context[Any], ports: sockets.Ports, message: bytes) -> list[bytes]:
    """The parts of one published message, by a socket as PlotJuggler's."""
    address = sockets.endpoint(HOST, ports.actions)
    with sockets.publisher(context, address) as publisher, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.SUBSCRIBE, b"")
        subscriber.connect(f"tcp://localhost:{ports.actions}")
        while not subscriber.poll(10):
            publisher.send(message, zmq.DONTWAIT)
        return subscriber.recv_multipart()


def test_its_layout_shows_what_the_demo_sends(context: zmq.Context[Any], ports: Any) -> None:
    sent = action()
    parts = heard(context, ports, messages.pack_action(sent))
    assert len(parts) == 1
    unpacker = fallback.Unpacker()
    unpacker.feed(parts[0])
    series = dict(flattened("", unpacker.unpack()))
    curves = [curve.attrib["name"] for curve in ElementTree.parse(LAYOUT).iter("curve")]
    assert len(set(curves)) == len(curves) == 6 + len(sent.action)
    assert set(curves) <= series.keys()
    assert series["/t"] == sent.t  # "use field as timestamp"
    assert series["/mode"] == 1.0
    assert {name: series[f"/action/{name}"] for name in sent.action} == sent.action


def test_an_idle_message_keeps_its_time_field(context: zmq.Context[Any], ports: Any) -> None:
    """PlotJuggler stops to use the field at the first message without it."""
    idle = replace(action(), mode=Mode.IDLE, action={}, rest={}, age_ms=-1.0)
    unpacker = fallback.Unpacker()
    unpacker.feed(*heard(context, ports, messages.pack_action(idle)))
    series = dict(flattened("", unpacker.unpack()))
    assert series["/t"] == idle.t
    assert not any(name.startswith("/action") for name in series)
