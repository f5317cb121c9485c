"""`actd stream` from a real daemon to a client of Foxglove's websocket protocol."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from actd.link.sockets import Ports
from actd.mode import Mode
from tests.ports import HOST, free_ports, link_section
from tests.runtime.conftest import ROBOT, video, wait_until
from tests.runtime.test_dashboard import RED_BGR, Site, followed, site

__all__ = ["site", "video"]

TOPICS = {
    "/action/state",
    "/observation/state",
    "/observation/images/cam_high",
    "/observation/images/cam_low",
    "/actd/ages",
    "/actd/events",
    "/actd/tick",
}
_MESSAGE = struct.Struct("<BIQ")


class Heard:
    """What one client of the server was told, by topic."""

    def __init__(self) -> None:
        self.schemas: dict[str, str] = {}
        self.messages: dict[str, list[tuple[int, bytes]]] = {topic: [] for topic in TOPICS}

    async def listen(self, address: str, seconds: float) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, protocols=["foxglove.sdk.v1"]) as client,
        ):
            assert client.protocol == "foxglove.sdk.v1"
            end = time.monotonic() + seconds
            topics: dict[int, str] = {}
            while (left_s := end - time.monotonic()) > 0:
                try:
                    message = await client.receive(timeout=left_s)
                except asyncio.TimeoutError:
                    return
                if message.type is aiohttp.WSMsgType.TEXT:
                    told = json.loads(message.data)
                    if told["op"] == "advertise":
                        await self._subscribe(client, told["channels"], topics)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    kind, subscription, t_ns = _MESSAGE.unpack_from(message.data)
                    if kind == 1:
                        topic = topics[subscription]
                        self.messages[topic].append((t_ns, message.data[_MESSAGE.size :]))

    async def _subscribe(self, client: Any, channels: Any, topics: dict[int, str]) -> None:
        for channel in channels:
            topics[channel["id"]] = channel["topic"]
            self.schemas[channel["topic"]] = channel["schemaName"]
        wanted = [{"id": each["id"], "channelId": each["id"]} for each in channels]
        await client.send_json({"op": "subscribe", "subscriptions": wanted})

    def numbers(self, topic: str) -> list[tuple[int, dict[str, float]]]:
        return [
            (t_ns, {each["label"]: each["value"] for each in json.loads(data)["scalars"]})
            for t_ns, data in self.messages[topic]
        ]


@contextmanager
def streaming(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "actd", "stream", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_foxglove_gets_commands_positions_pictures_and_events(site: Site) -> None:
    port = free_ports().state
    heard = Heard()
    arguments = ["--config", str(site.daemon.config), "--port", str(port)]
    with followed(site.daemon) as arm, streaming(*arguments, "--dashboard", site.address) as stream:
        assert stream.stdout is not None
        assert stream.stdout.readline() == (
            f"stream: open ws://127.0.0.1:{port} in Foxglove; Ctrl-C ends\n"
        )
        site.order("take")
        wait_until(lambda: site.order("arm")["ok"], "the page to arm", 20)
        begin_ns = time.time_ns()
        asyncio.run(heard.listen(f"ws://127.0.0.1:{port}", 4))
        received = {round(action.t * 1e9): action.action for action in arm.received}
        stream.send_signal(signal.SIGINT)
        assert stream.wait(10) == 130
        assert stream.stderr is not None
        # Foxglove's own server may say that a client asks for what it was just told of.
        assert all(line.startswith("Client ") for line in stream.stderr)

    assert heard.schemas.keys() >= TOPICS - {"/actd/events"}
    assert heard.schemas["/action/state"] == "lerobot.Scalars"
    assert heard.schemas["/observation/images/cam_low"] == "foxglove.CompressedImage"
    commands = heard.numbers("/action/state")
    assert len(commands) > 100  # 50 a second
    both = [(values, received[t_ns]) for t_ns, values in commands if t_ns in received]
    assert len(both) > 100
    assert all(values == command for values, command in both)
    t_ns, measured = heard.numbers("/observation/state")[-1]
    assert measured == pytest.approx(arm.positions, abs=1.0)
    assert begin_ns < t_ns < time.time_ns()
    assert Mode.ARMED in {tick["mode"] for _, tick in heard.numbers("/actd/tick")}
    assert heard.numbers("/actd/ages")[-1][1].keys() == {"cam_high", "cam_low"}
    pictures = heard.messages["/observation/images/cam_high"]
    assert 20 < len(pictures) <= 45  # 10 a second
    assert len({t_ns // 1_000_000 for t_ns, _ in pictures}) == len(pictures)
    _, data = pictures[-1]
    jpeg = np.frombuffer(data[data.index(b"\xff\xd8") : data.rindex(b"\xff\xd9") + 2], np.uint8)
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert np.abs(image.mean(axis=(0, 1)) - RED_BGR).max() < 12


def test_without_a_daemon_it_is_one_line(ports: Ports, tmp_path: Any) -> None:
    config = tmp_path / "actd.yaml"
    config.write_text(f"robot: {{name: {ROBOT}}}\n{link_section(ports)}\n")
    port = free_ports().state
    arguments = ["--config", str(config), "--dashboard", f"http://{HOST}:{ports.status}"]
    with streaming(*arguments, "--port", str(port)) as stream:
        _, error = stream.communicate(timeout=30)
    lines = error.splitlines()
    assert stream.returncode == 1
    assert len(lines) == 2
    assert "no dashboard, so neither measured positions nor pictures" in lines[0]
    assert f"tcp://{HOST}:{ports.actions}: nothing for 3 s" in lines[1]


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with streaming("--port", str(port)) as stream:
            _, error = stream.communicate(timeout=30)
    assert stream.returncode == 1
    assert error.count("\n") == 1
    assert f"--port {port}: in use by " in error
    assert f"(pid {os.getpid()}); choose another one" in error
